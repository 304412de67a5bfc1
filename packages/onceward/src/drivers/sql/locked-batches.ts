import { isOncewardError } from '../../core/errors.ts'
import type { AuditEntry } from '../../core/store.ts'
import type { Atomically } from '../../core/transition-port.ts'
import { type Change, decideBatch, type Found, type Undecided } from './decide-batch.ts'
import { gatherer, type Waiting } from './gather.ts'

/** The rows of one open transaction. */
export interface LockedRecords {
  /** Locks the rows with these digests, which are sorted, and answers those that are there. */
  lock(digests: readonly string[]): Promise<ReadonlyMap<string, Found>>
  /** The time of the server at this moment, in ms. */
  now(): Promise<number>
  /** Writes records; throws what `transaction` takes for a lost race when one to be created is there already. */
  write(changes: readonly Change[]): Promise<void>
  audit(entries: readonly AuditEntry[]): Promise<void>
}

/** How batches reach their server. */
export interface LockedBatching {
  readonly maxBatch: number
  readonly maxInFlight: number
  /** Runs `body` in one transaction of its own, and again, afresh, after a deadlock or a lost race. */
  transaction<T>(body: (records: LockedRecords) => Promise<T>): Promise<T>
  /** Is told what was committed, before the callers are. */
  onCommitted(changes: readonly Change[]): void
}

/** Transitions of many callers in few transactions. */
export interface LockedBatches {
  readonly submit: Atomically
  /** Resolves once nothing is on its way. */
  idle(): Promise<void>
}

/**
 * The exact rules on a database server: the transitions of a batch run in one transaction, under the locks of all of
 * their rows, at the time of the server after those locks were had. Nobody is answered before COMMIT has returned.
 */
export function lockedBatches(batching: LockedBatching): LockedBatches {
  const commit = async (batch: readonly Undecided[]): Promise<void> => {
    const decided = await batching.transaction(async (records) => {
      const found = await records.lock(batch.map((one) => one.digest))
      const decision = decideBatch(batch, found, await records.now())
      if (decision.changes.length > 0) await records.write(decision.changes)
      if (decision.audit.length > 0) await records.audit(decision.audit)
      return decision
    })
    batching.onCommitted(decided.changes)
    decided.settle()
  }
  const send = async (waiting: readonly Waiting<Undecided['step'], unknown>[]): Promise<void> => {
    const batch = waiting.map(
      ({ key, ask, resolve, reject }): Undecided => ({ digest: key, step: ask, resolve, reject }),
    )
    try {
      await commit(batch)
    } catch (error) {
      if (batch.length === 1 || isOncewardError(error, 'STORE_UNAVAILABLE')) throw error
      // One of them cannot be written: the others must not suffer for it.
      for (const one of batch) await commit([one]).catch(one.reject)
    }
  }
  const gathered = gatherer<Undecided['step'], unknown>({
    maxBatch: batching.maxBatch,
    maxInFlight: batching.maxInFlight,
    send,
  })
  return {
    submit: <Reply>(digest: string, step: Parameters<Atomically>[1]) =>
      gathered.call(digest, step) as Promise<Reply>,
    idle: gathered.idle,
  }
}
