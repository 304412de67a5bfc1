import { backOffMs } from '../../core/back-off.ts'
import { OncewardError } from '../../core/errors.ts'
import { jittered } from '../../core/jittered.ts'
import { pause } from '../../core/pause.ts'
import type { SqliteContext } from './sqlite-context.ts'
import { failure, isBusy, sqliteFailure } from './sqlite-errors.ts'

/** The pauses between two tries for the write lock, in ms. */
const PAUSES = { initialMs: 1, maxMs: 25 }

/** How long to wait before try `attempt` (from 0), in ms: growing, with jitter so that processes do not march in step. */
export function pauseMs(context: SqliteContext, attempt: number): number {
  return jittered(context.random, backOffMs(PAUSES, attempt))
}

/**
 * Runs `body` in one transaction of a connection of our own, under the write lock. Waits for the lock between tries,
 * never inside SQLite, so the event loop goes on.
 *
 * @param body - What it throws undoes everything and is thrown on as it is.
 * @throws `STORE_UNAVAILABLE` when the lock was not to be had within `busyTimeoutMs`.
 */
export async function writeTransaction<T>(context: SqliteContext, body: () => T): Promise<T> {
  const { connection, clock } = context
  const giveUpAt = clock.monotonic() + context.busyTimeoutMs
  for (let attempt = 0; ; attempt++) {
    if (context.isClosed()) throw closedError(context)
    if (tryBegin(context)) {
      const reply = insideTransaction(context, body)
      if (reply !== BUSY) return reply
    }
    if (clock.monotonic() >= giveUpAt) throw lockedError(context)
    await pause(context, pauseMs(context, attempt))
  }
  function tryBegin({ connection: { path } }: SqliteContext): boolean {
    try {
      return connection.tryBegin()
    } catch (error) {
      throw sqliteFailure(error, path)
    }
  }
}

/** Only outside WAL: readers of other connections keep a commit from happening for a moment. */
const BUSY = Symbol('busy')

function insideTransaction<T>({ connection }: SqliteContext, body: () => T): T | typeof BUSY {
  try {
    const reply = body()
    try {
      connection.commit()
    } catch (error) {
      if (!isBusy(error)) throw sqliteFailure(error, connection.path)
      connection.rollback()
      return BUSY
    }
    return reply
  } catch (error) {
    undo({ connection })
    throw error
  }
}

/** Rolls back; what hinders that must not hide why it was done. */
export function undo({ connection }: Pick<SqliteContext, 'connection'>): void {
  try {
    connection.rollback()
  } catch {
    // The handle was closed, or SQLite has undone the transaction already.
  }
}

/** Nobody gave up the write lock in time. */
export function lockedError(context: SqliteContext): OncewardError {
  const { connection, busyTimeoutMs } = context
  let own = false
  try {
    own = connection.inTransaction()
  } catch {
    // A closed handle has no transaction open.
  }
  const who = own
    ? 'a transaction is open on the very handle the store was given; commit it, or use `within` in it'
    : 'another connection holds its write lock; commit long transactions sooner, or raise busyTimeoutMs'
  return failure(
    'STORE_UNAVAILABLE',
    `the SQLite database ${connection.path} was locked for ${busyTimeoutMs} ms: ${who}`,
  )
}

/** The store was closed by its owner. */
export function closedError({ connection }: SqliteContext): OncewardError {
  return new OncewardError('CLOSED', `the store on ${connection.path} was closed; make a new one`)
}
