import { isOncewardError, OncewardError } from '../../core/errors.ts'
import { conflictOf, endedBeforeThrow, retrying } from '../sql/index.ts'
import type { TakenConnection } from './mysql-driver.ts'
import {
  isInterruption,
  isNoStatement,
  isRefusal,
  isSavepointMissing,
  isUnsent,
  mysqlFailure,
} from './mysql-errors.ts'
import type { MysqlSession } from './mysql-session.ts'
import { COMMIT, type OwnParts, ROLLBACK } from './own-statements.ts'

/** A transaction that was begun here for work of the user, while it is open. */
export interface UserTransaction<Notes> {
  readonly session: MysqlSession
  /** What whoever has asked for it wants to remember of it until it is committed. */
  readonly notes: Notes
  /** The server has undone it, and its work has gone on all the same. */
  undone: boolean
}

/** The transactions that are begun here for work of the user. */
export interface UserTransactions<Notes> {
  /** The transaction that is open on a handle, if it was begun here. */
  of(handle: unknown): UserTransaction<Notes> | undefined
  /** Runs `body` in a transaction: again, as a whole, when the server has undone it. */
  run<T>(body: (handle: object, transaction: UserTransaction<Notes>) => T | Promise<T>): Promise<T>
}

/** What {@link userTransactions} needs. */
export interface UserTransactionParts<Notes> extends OwnParts {
  /** How long the lock of a row is waited for, in ms; the server counts in seconds. */
  readonly lockTimeoutMs: number
  newNotes(): Notes
  /** Called after a commit. */
  onCommitted?(notes: Notes): void
  /** Finds out what became of a commit that was not confirmed. Absent: it stays unknown. */
  findOut?(notes: Notes): Promise<'committed' | 'undone' | 'unknown'>
}

/** How often the body is run when the server undoes the transaction. */
const TRIES = 5

/** Marks the transaction: where the savepoint is gone at the end, somebody has ended the transaction in between. */
const SAVEPOINT = 'SAVEPOINT onceward_transaction'
const RELEASE = 'RELEASE SAVEPOINT onceward_transaction'
const RESTORE_WAIT = 'SET SESSION innodb_lock_wait_timeout = @onceward_own_lock_wait'
const RESTORE = `${RESTORE_WAIT}, SESSION autocommit = 1`

/**
 * Several statements as one, which MariaDB takes outside of stored programs too: a round trip instead of three. Where one of
 * them fails, those behind it are not run. MySQL finds it to be no statement at all, and is sent them one after the other.
 */
const inOne = (...statements: readonly string[]) => `BEGIN NOT ATOMIC ${statements.join('; ')}; END`

/** What might fail comes before the commit: an error says that nothing was committed, but for an interruption. */
const END = inOne(RELEASE, RESTORE_WAIT, COMMIT, 'SET SESSION autocommit = 1')

/** Why the body is run again although it has thrown nothing of the kind. */
class Undone extends Error {
  override readonly name: string = 'Undone'
}

/** Begins transactions in which users write. */
export function userTransactions<Notes>(parts: UserTransactionParts<Notes>): UserTransactions<Notes> {
  const { driver, timers, random } = parts
  const open = new WeakMap<object, UserTransaction<Notes>>()
  const seconds = Math.max(1, Math.ceil(parts.lockTimeoutMs / 1000))
  // Without autocommit, what the work does after the server has undone the transaction can still be rolled back.
  const begin =
    'SET @onceward_own_lock_wait = @@SESSION.innodb_lock_wait_timeout, ' +
    `SESSION innodb_lock_wait_timeout = ${seconds}, SESSION autocommit = 0`

  const beginInOne = inOne(begin, SAVEPOINT)
  let takesBlocks = true
  /** Sends a block; answers false, and does so from then on, where the server does not know such a thing. */
  const sentInOne = async (session: MysqlSession, block: string): Promise<boolean> => {
    if (!takesBlocks) return false
    try {
      await session.query(block)
    } catch (error) {
      if (!isNoStatement(error)) throw error
      takesBlocks = false
    }
    return takesBlocks
  }
  const begun = async (session: MysqlSession): Promise<void> => {
    if (!(await sentInOne(session, beginInOne)))
      await Promise.all([session.query(begin), session.query(SAVEPOINT)])
  }

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
  /** Whether the work has ended the transaction: what it wrote before that is committed. Not known where nobody answers. */
  const hasEnded = async ({ session, release }: TakenConnection): Promise<boolean> => {
    try {
      await driver.inTime(session.query(RELEASE), () => release(true))
      return false
    } catch (error) {
      return isSavepointMissing(error)
    }
  }

  const once = async <T>(
    body: (handle: object, transaction: UserTransaction<Notes>) => T | Promise<T>,
  ): Promise<T> => {
    const taken = await driver.take()
    const { session, connection } = taken
    try {
      await driver.inTime(begun(session), () => taken.release(true))
    } catch (error) {
      taken.release(true)
      throw mysqlFailure(error, driver.where)
    }
    const transaction: UserTransaction<Notes> = { session, notes: parts.newNotes(), undone: false }
    open.set(connection, transaction)
    let value: T
    try {
      value = await body(connection, transaction)
      if (transaction.undone) throw new Undone('the transaction was undone under its work')
    } catch (error) {
      const ended = !transaction.undone && conflictOf(error) === undefined && (await hasEnded(taken))
      await rollback(taken)
      if (transaction.undone) throw new Undone('the transaction was undone under its work', { cause: error })
      throw ended ? endedBeforeThrow(error) : error
    } finally {
      open.delete(connection)
    }
    await commit(taken, transaction)
    parts.onCommitted?.(transaction.notes)
    return value
  }

  const commit = async (taken: TakenConnection, { notes }: UserTransaction<Notes>): Promise<void> => {
    const { session } = taken
    /** How far it has come: what has failed before the commit is undone, and so is what the server has refused. */
    let sent = 'both' as 'release' | 'commit' | 'both'
    const end = async () => {
      if (await sentInOne(session, END)) return
      sent = 'release'
      await session.query(RELEASE)
      sent = 'commit'
      await session.query(COMMIT)
    }
    try {
      await driver.inTime(end(), () => taken.release(true))
      if (sent === 'both') taken.release(false)
      else giveBack(taken)
    } catch (error) {
      if (isSavepointMissing(error)) {
        await rollback(taken)
        throw new TypeError(
          'the work has ended the transaction itself; leave COMMIT, ROLLBACK and what commits by itself ' +
            '(CREATE TABLE, for one) to the store',
          { cause: error },
        )
      }
      // A block may have been interrupted behind its commit.
      const isRefused = isRefusal(error) && !(sent === 'both' && isInterruption(error))
      if (sent === 'release' || isUnsent(error) || isRefused) {
        await rollback(taken)
        throw mysqlFailure(error, driver.where)
      }
      taken.release(true)
      const found = await parts.findOut?.(notes)
      if (found === 'undone') throw new Undone('the connection was lost before the commit', { cause: error })
      if (found === 'committed') return
      throw new OncewardError(
        'STORE_UNAVAILABLE',
        `${driver.where}: the connection was lost during COMMIT, and what became of it could not be found out; ` +
          'the next call with this key does',
        { cause: error, effect: 'unknown', retryAfterMs: 1000 },
      )
    }
  }

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
