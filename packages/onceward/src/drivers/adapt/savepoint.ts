import { conflictOf, errnoOf, sqlStateOf } from '../sql/conflict.ts'
import { endedBeforeThrow } from '../sql/ended-before-throw.ts'
import type { SqlSession } from '../sql/sql-session.ts'
import { type AdaptedSession, noTransaction } from './adapted-session.ts'

/** What an error of the driver means to the caller. */
type Failure = (error: unknown) => unknown

/** `no_active_sql_transaction`: SAVEPOINT outside a transaction. */
const NO_TRANSACTION = '25P01'
/** `in_failed_sql_transaction`: an earlier statement has failed. */
const ABORTED = '25P02'
/** `invalid_savepoint_specification`, and ER_SP_DOES_NOT_EXIST: the savepoint is gone. */
const GONE = '3B001'
const GONE_ON_MYSQL = 1305

/** Runs `body` under a savepoint made by statements. `name` is of our own making. */
export async function underStatements<T>(
  session: AdaptedSession,
  name: string,
  body: () => Promise<T>,
  failure: Failure,
): Promise<T> {
  await begin(session, name, failure)
  let value: T
  try {
    value = await body()
  } catch (error) {
    // Where the transaction has ended there is nothing to go back to. After a conflict the server has undone it, and what was
    // thrown says why; otherwise the work has ended it.
    const gone = await session.query(`ROLLBACK TO SAVEPOINT ${name}`, []).then(
      () => false,
      (failed: unknown) => isGone(failed),
    )
    throw gone && conflictOf(error) === undefined ? endedBeforeThrow(error) : error
  }
  try {
    await session.query(`RELEASE SAVEPOINT ${name}`, [])
  } catch (error) {
    throw endedByWork(error) ?? failure(error)
  }
  return value
}

/** Refuses a session on which no transaction is open: by what the handle knows, or else by what the server says. */
export function assertOpen(session: AdaptedSession, name: string, failure: Failure): void | Promise<void> {
  const known = session.isOpen?.()
  if (known === false) throw notOpen()
  if (known) return
  return probe(session, name, failure)
}

async function probe(session: SqlSession, name: string, failure: Failure): Promise<void> {
  await begin(session, name, failure)
  await session.query(`RELEASE SAVEPOINT ${name}`, []).catch((error: unknown) => {
    throw failure(error)
  })
}

async function begin(session: AdaptedSession, name: string, failure: Failure): Promise<void> {
  if (session.isOpen?.() === false) throw notOpen()
  try {
    const { inTransaction } = await session.query(`SAVEPOINT ${name}`, [])
    // MySQL takes a savepoint outside a transaction and forgets it at once.
    if (inTransaction === false) throw notOpen()
  } catch (error) {
    if (error instanceof TypeError) throw error
    const state = sqlStateOf(error)
    if (state === NO_TRANSACTION) throw notOpen(error)
    if (state === ABORTED) throw aborted(error)
    throw failure(error)
  }
}

function notOpen(cause?: unknown): TypeError {
  return noTransaction(
    'the given handle',
    'begin one before (BEGIN), do not use a handle after its transaction has ended, or use once.transaction()',
    cause,
  )
}

function aborted(cause: unknown): TypeError {
  return new TypeError(
    'the transaction was aborted by a statement that failed before; roll it back, or run what may fail under a savepoint',
    { cause },
  )
}

/** Whether the transaction of a savepoint has ended. */
function isGone(error: unknown): boolean {
  const state = sqlStateOf(error)
  return state === NO_TRANSACTION || state === GONE || errnoOf(error) === GONE_ON_MYSQL
}

/** Misuse, and no word about the effect: what was committed cannot be undone here. */
function endedByWork(cause: unknown): TypeError | undefined {
  const state = sqlStateOf(cause)
  if (state === ABORTED) {
    return new TypeError(
      'a statement of the work has failed and the work has gone on, which PostgreSQL does not allow; ' +
        'let the error through, or run what may fail under a savepoint',
      { cause },
    )
  }
  if (!isGone(cause)) return undefined
  return new TypeError(
    'the work has ended the transaction itself; leave COMMIT, ROLLBACK and what commits by itself (CREATE TABLE on MySQL) to the caller',
    { cause },
  )
}
