import type { Atomically } from '../../core/transition-port.ts'
import { closedError, isBusy, lockedError, pauseMs, sqliteFailure, undo } from '../../drivers/sqlite/index.ts'
import { type Decided, decideBatch, type Undecided } from './decide-batch.ts'
import { recordTable } from './record-table.ts'
import { rowMemory } from './row-memory.ts'
import type { StoreContext } from './store-context.ts'

/** One transition that waits for its commit. */
interface Job extends Undecided {
  readonly giveUpAt: number
}

/** Transitions of many callers in few transactions. */
export interface GroupCommit {
  readonly submit: Atomically
  /** Commits what waits, as far as the lock can be had at once, and refuses the rest and all that comes later. */
  close(): void
}

/**
 * Gathers the transitions that are asked for within one turn of the event loop and commits them in one transaction.
 *
 *     callers    c1 c2 c3 ─┐                 ┌─ replies to c1 c2 c3, each its own
 *     event loop ──────────┴─ BEGIN … COMMIT ┴──────────────▶
 *
 * - A lone transition is sent at the end of the turn in which it was asked for: nothing waits for company.
 * - Nobody is answered before COMMIT has returned. When it fails, everybody in the batch is told so.
 * - A transition sees what those before it in the batch have written. One that throws changes nothing, and the others
 *   are committed without it.
 * - Time is read under the write lock, so it never runs against the order of the commits.
 */
export function groupCommit(context: StoreContext, onEnded: (digest: string) => void): GroupCommit {
  const { connection, clock, timers } = context
  const table = recordTable(connection)
  const memory = rowMemory(connection)
  let queue: Job[] = []
  let scheduled = false
  let busyTries = 0

  const schedule = () => {
    if (scheduled) return
    scheduled = true
    // After the callbacks of this turn: every request that has just arrived joins, and nothing else is waited for.
    setImmediate(flush)
  }

  function flush(): void {
    scheduled = false
    if (queue.length === 0) return
    const batch = begin() ? queue.splice(0, context.maxBatch) : []
    if (batch.length > 0) run(batch)
    if (queue.length > 0 && busyTries === 0) schedule()
  }

  /** Answers whether the write lock is held; otherwise has arranged what comes next. */
  function begin(): boolean {
    try {
      if (connection.tryBegin()) {
        busyTries = 0
        return true
      }
    } catch (error) {
      for (const job of queue.splice(0)) job.reject(sqliteFailure(error, connection.path))
      return false
    }
    retryLater()
    return false
  }

  function retryLater(): void {
    const now = clock.monotonic()
    const late = queue.filter((job) => job.giveUpAt <= now)
    queue = queue.filter((job) => job.giveUpAt > now)
    for (const job of late) job.reject(lockedError(context))
    if (queue.length === 0) {
      busyTries = 0
      return
    }
    if (scheduled) return
    scheduled = true
    timers.after(pauseMs(context, busyTries++), flush)
  }

  function run(batch: readonly Job[]): void {
    let decided: Decided
    try {
      decided = decideBatch(batch, table, memory, clock)
    } catch (error) {
      undo(context)
      memory.forgetAll()
      if (batch.length > 1) runOneByOne(batch)
      else for (const job of batch) job.reject(sqliteFailure(error, connection.path))
      return
    }
    try {
      connection.commit()
    } catch (error) {
      undo(context)
      memory.forgetAll()
      if (isBusy(error)) {
        queue.unshift(...batch)
        retryLater()
        return
      }
      for (const job of batch) job.reject(sqliteFailure(error, connection.path))
      return
    }
    memory.committed(decided.writes, decided.changes)
    for (const settle of decided.settle) settle()
    for (const [digest, found] of decided.writes) {
      if ('record' in found && found.record.state !== 'running') onEnded(digest)
    }
  }

  /** One of them cannot be written: the others must not suffer for it. */
  function runOneByOne(batch: readonly Job[]): void {
    const later: Job[] = []
    for (const job of batch) {
      let begun = false
      try {
        begun = later.length === 0 && connection.tryBegin()
      } catch (error) {
        job.reject(sqliteFailure(error, connection.path))
        continue
      }
      if (begun) run([job])
      else later.push(job)
    }
    queue.unshift(...later)
    if (later.length > 0) retryLater()
  }

  return {
    submit: (digest, step) =>
      new Promise((resolve, reject) => {
        if (context.isClosed()) return reject(closedError(context))
        queue.push({ digest, step, resolve, reject, giveUpAt: clock.monotonic() + context.busyTimeoutMs })
        schedule()
      }),
    close() {
      flush()
      for (const job of queue.splice(0)) job.reject(closedError(context))
    },
  }
}
