import type { Clock } from '../../core/clock.ts'
import type { OperationRecord } from '../../core/operation.ts'
import type { Transition } from '../../core/transitions.ts'
import { copyOfRecord } from './copy-of-record.ts'
import type { Found, RecordTable } from './record-table.ts'
import type { RowMemory } from './row-memory.ts'

/** One transition, and who waits for its reply. */
export interface Undecided {
  readonly digest: string
  readonly step: (found: OperationRecord | undefined, now: number) => Transition<unknown>
  readonly resolve: (reply: never) => void
  readonly reject: (error: unknown) => void
}

/** What the transitions of one batch have decided, before anybody is told. */
export interface Decided {
  /** Tells each of the callers its reply or its error. To be called once the batch is committed. */
  readonly settle: readonly (() => void)[]
  readonly writes: ReadonlyMap<string, Found>
  /** How many rows the batch has changed. */
  readonly changes: number
}

/**
 * Runs the transitions of a batch, one after another, and writes what they decide. The caller holds the write lock.
 *
 * A transition sees what those before it have decided; of each record only the last state is written. One that throws
 * changes nothing. Limit: an error of SQLite itself is thrown, and the whole batch is then the caller's to undo.
 */
export function decideBatch(
  batch: readonly Undecided[],
  table: RecordTable,
  memory: RowMemory,
  clock: Clock,
): Decided {
  if (batch.some(({ digest }) => memory.has(digest))) memory.check()
  const before = table.changes
  const now = clock.now()
  const found = load(batch, table, memory)
  const writes = new Map<string, Found>()
  const told = new Set<string>()
  const settle = batch.map((job) => {
    const at = writes.get(job.digest) ?? found.get(job.digest)
    try {
      if (at && 'fault' in at) throw at.fault
      // Nobody may get the bytes of another's answer.
      const record = at && told.has(job.digest) ? copyOfRecord(at.record) : at?.record
      told.add(job.digest)
      const { reply, write, audit } = job.step(record, now)
      if (write) writes.set(job.digest, { row: at?.row ?? NO_ROW, record: write })
      if (audit) table.writeAudit(audit)
      return () => job.resolve(reply as never)
    } catch (error) {
      return () => job.reject(error)
    }
  })
  for (const [digest, written] of writes) {
    if (!('record' in written)) continue
    const row = table.write(written.record, found.get(digest))
    if (row !== written.row) writes.set(digest, { row, record: written.record })
  }
  return { settle, writes, changes: table.changes - before }
}

/** Reads what the memory does not know. */
function load(batch: readonly Undecided[], table: RecordTable, memory: RowMemory): Map<string, Found> {
  const unknown = new Set<string>()
  const remembered = new Map<string, Found>()
  for (const { digest } of batch) {
    const known = memory.get(digest)
    if (known) remembered.set(digest, known)
    else unknown.add(digest)
  }
  const found = table.read([...unknown])
  for (const [digest, known] of remembered) found.set(digest, known)
  return found
}

/** The row of a record that is not stored yet. */
const NO_ROW = 0
