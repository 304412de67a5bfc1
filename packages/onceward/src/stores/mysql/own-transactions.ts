import { isOncewardError, OncewardError } from '../../core/errors.ts'
import { jittered } from '../../core/jittered.ts'
import type { Claim } from '../../core/operation.ts'
import { pause } from '../../core/pause.ts'
import {
  COMMIT,
  isRefusal,
  isSavepointMissing,
  type MysqlSession,
  mysqlFailure,
  ROLLBACK,
  type TakenConnection,
} from '../../drivers/mysql/index.ts'
import { conflictOf, retrying } from '../../drivers/sql/index.ts'
import type { StoreContext } from './store-context.ts'

/** A transaction that the store itself has begun, while it is open. */
export interface OwnTransaction {
  readonly session: MysqlSession
  /** What was completed in it: by these keys it can be found out whether it was committed. */
  readonly completed: { readonly claim: Claim; readonly retentionMs: number }[]
  /** The server has undone it, and its work has gone on all the same. */
  undone: boolean
}

/** The transactions that a store begins. */
export interface OwnTransactions {
  /** The transaction that is open on a handle, if the store has begun it. */
  of(handle: unknown): OwnTransaction | undefined
  /** See `TransactionalStore.transaction`. */
  run<T>(body: (handle: object) => T | Promise<T>): Promise<T>
}

/** How often the body is run when the server undoes the transaction. */
const TRIES = 5

/** Marks the transaction: where the savepoint is gone at the end, somebody has ended the transaction in between. */
const SAVEPOINT = 'SAVEPOINT onceward_transaction'
const RELEASE = 'RELEASE SAVEPOINT onceward_transaction'
const RESTORE = 'SET SESSION innodb_lock_wait_timeout = @onceward_own_lock_wait, SESSION autocommit = 1'

/** Why the body is run again although it has thrown nothing of the kind. */
class Undone extends Error {
  override readonly name: string = 'Undone'
}

/** Makes the transactions of a store. */
export function ownTransactions(context: StoreContext): OwnTransactions {
  const { driver, timers, random } = context
  const open = new WeakMap<object, OwnTransaction>()
  const seconds = Math.max(1, Math.ceil(context.lockTimeoutMs / 1000))
  // Without autocommit, what the work does after the server has undone the transaction can still be rolled back.
  const begin =
    'SET @onceward_own_lock_wait = @@SESSION.innodb_lock_wait_timeout, ' +
    `SESSION innodb_lock_wait_timeout = ${seconds}, SESSION autocommit = 0`

  /** Gives the connection back as it was found. */
  const giveBack = (taken: TakenConnection) => {
    taken.session.query(RESTORE).then(
      () => taken.release(false),
      () => taken.release(true),
    )
  }
  const rollback = async (taken: TakenConnection) => {
    try {
      await driver.inTime(taken.session.query(ROLLBACK), () => taken.release(true))
      giveBack(taken)
    } catch {
      // The server rolls back what a lost connection has left open.
      taken.release(true)
    }
  }

  const once = async <T>(body: (handle: object) => T | Promise<T>): Promise<T> => {
    const taken = await driver.take()
    const { session, connection } = taken
    try {
      await driver.inTime(Promise.all([session.query(begin), session.query(SAVEPOINT)]), () =>
        taken.release(true),
      )
    } catch (error) {
      taken.release(true)
      throw mysqlFailure(error, driver.where)
    }
    const transaction: OwnTransaction = { session, completed: [], undone: false }
    open.set(connection, transaction)
    let value: T
    try {
      value = await body(connection)
      if (transaction.undone) throw new Undone('the transaction was undone under its work')
    } catch (error) {
      await rollback(taken)
      throw transaction.undone
        ? new Undone('the transaction was undone under its work', { cause: error })
        : error
    } finally {
      open.delete(connection)
    }
    await commit(taken, transaction)
    for (const { claim } of transaction.completed) context.onChanged(claim.id.digest)
    return value
  }

  const commit = async (taken: TakenConnection, { completed }: OwnTransaction): Promise<void> => {
    const { session } = taken
    const late = () => taken.release(true)
    try {
      await driver.inTime(session.query(RELEASE), late)
    } catch (error) {
      await rollback(taken)
      if (!isSavepointMissing(error)) throw mysqlFailure(error, driver.where)
      throw new TypeError(
        'the work has ended the transaction itself; leave COMMIT, ROLLBACK and what commits by itself ' +
          '(CREATE TABLE, for one) to the store',
        { cause: error },
      )
    }
    try {
      await driver.inTime(session.query(COMMIT), late)
      giveBack(taken)
    } catch (error) {
      if (isRefusal(error)) {
        await rollback(taken)
        throw mysqlFailure(error, driver.where)
      }
      taken.release(true)
      const end = await findOut(completed)
      if (end === 'undone') throw new Undone('the connection was lost before the commit', { cause: error })
      if (end === 'committed') return
      throw new OncewardError(
        'STORE_UNAVAILABLE',
        `${driver.where}: the connection was lost during COMMIT, and what became of it could not be found out; ` +
          'the next call with this key does',
        { cause: error, effect: 'unknown', retryAfterMs: 1000 },
      )
    }
  }

  /**
   * Looks whether a transaction was committed whose COMMIT was not confirmed. Its rows are locked until it has ended
   * either way, and this look waits for them.
   */
  const findOut = async (
    completed: OwnTransaction['completed'],
  ): Promise<'committed' | 'undone' | 'unknown'> => {
    const [first] = completed
    if (first === undefined) return 'unknown'
    const { claim, retentionMs } = first
    const startedAt = context.clock.monotonic()
    for (let pauseMs = 20; ; pauseMs *= 2) {
      const record = await lookAt(claim.id.digest).catch(() => 'unknown' as const)
      const spentMs = context.clock.monotonic() - startedAt
      if (record !== 'unknown') {
        if (record?.state === 'done' && record.owner === claim.owner && record.fence === claim.fence)
          return 'committed'
        // A record that has been forgotten meanwhile proves nothing.
        return retentionMs > spentMs * 2 ? 'undone' : 'unknown'
      }
      if (spentMs + pauseMs > context.queryTimeoutMs) return 'unknown'
      await pause({ timers }, jittered(random, pauseMs))
    }
  }
  const lookAt = (digest: string) =>
    driver.use(async (session) => {
      await session.query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED')
      await session.query('START TRANSACTION')
      const at = (await context.table.locked(session).lock([digest])).get(digest)
      await session.query(ROLLBACK)
      if (at && 'fault' in at) throw at.fault
      return at?.record
    })

  return {
    of: (handle) => (typeof handle === 'object' && handle !== null ? open.get(handle) : undefined),
    async run(body) {
      const isTransient = (error: unknown) => {
        const conflict = conflictOf(error)
        return error instanceof Undone || conflict === 'deadlock' || conflict === 'serialization'
      }
      try {
        return await retrying({ timers, random, tries: TRIES, isTransient }, () => once(body))
      } catch (error) {
        if (!isTransient(error) || isOncewardError(error)) throw error
        throw new OncewardError(
          'STORE_UNAVAILABLE',
          `${driver.where}: the transaction was undone ${TRIES} times for the sake of others; try again`,
          { cause: error, effect: 'none', retryAfterMs: 1000 },
        )
      }
    },
  }
}
