import type { OperationRecord } from '../../core/operation.ts'
import type { AuditEntry } from '../../core/store.ts'
import type { Transition } from '../../core/transitions.ts'

/** What is stored under one digest: a record, or a row that cannot be read. */
export type Found = { readonly record: OperationRecord } | { readonly fault: unknown }

/** One transition, and who waits for its reply. */
export interface Undecided {
  readonly digest: string
  readonly step: (found: OperationRecord | undefined, now: number) => Transition<unknown>
  readonly resolve: (reply: never) => void
  readonly reject: (error: unknown) => void
}

/** A record to write. One without `before` is to be created. */
export interface Change {
  readonly before: OperationRecord | undefined
  readonly after: OperationRecord
}

/** What the transitions of one batch have decided, before anybody is told. */
export interface Decided {
  readonly changes: readonly Change[]
  readonly audit: readonly AuditEntry[]
  /** Tells the callers their replies or errors. To be called once the batch is committed. */
  settle(): void
}

/**
 * Runs the transitions of a batch, of which no two have the same digest. One that throws changes nothing, and the
 * others go on without it. The caller holds the locks of all of them.
 */
export function decideBatch(
  batch: readonly Undecided[],
  found: ReadonlyMap<string, Found>,
  now: number,
): Decided {
  const changes: Change[] = []
  const audit: AuditEntry[] = []
  const tell = batch.map(({ digest, step, resolve, reject }) => {
    try {
      const at = found.get(digest)
      if (at && 'fault' in at) throw at.fault
      const before = at?.record
      const { reply, write, audit: entry } = step(before, now)
      if (write) changes.push({ before, after: write })
      if (entry) audit.push(entry)
      return () => resolve(reply as never)
    } catch (error) {
      return () => reject(error)
    }
  })
  return {
    changes,
    audit,
    settle() {
      for (const one of tell) one()
    },
  }
}
