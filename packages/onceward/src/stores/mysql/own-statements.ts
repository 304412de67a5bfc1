import { isTransient, type MysqlSession, mysqlFailure } from '../../drivers/mysql/index.ts'
import { retrying } from '../../drivers/sql/index.ts'
import type { StoreContext } from './store-context.ts'

/** How often a statement of the store is tried when it runs into deadlocks and lock timeouts. */
const TRIES = 8

/** What running statements of the store's own needs. */
export type OwnParts = Pick<StoreContext, 'driver' | 'timers' | 'random'>

/**
 * Runs one statement that commits by itself. A deadlock with another one is part of the game: it is tried again.
 *
 * @throws `OncewardError`s, with effect none: at most a record was written, and asking again finds it.
 */
export function ownStatement<T>(parts: OwnParts, body: (session: MysqlSession) => Promise<T>): Promise<T> {
  return tried(parts, () => parts.driver.use(body))
}

/**
 * Runs `body` in a transaction of the store's own, again after a deadlock or a lost race. It reads what is committed at
 * each statement (READ COMMITTED), whatever the server's default is, and locks no gaps.
 *
 * @throws as {@link ownStatement} does.
 */
export function ownTransaction<T>(parts: OwnParts, body: (session: MysqlSession) => Promise<T>): Promise<T> {
  return tried(parts, () =>
    parts.driver.use(async (session) => {
      await session.query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED')
      await session.query('START TRANSACTION')
      try {
        const value = await body(session)
        await session.query('COMMIT')
        return value
      } catch (error) {
        await rollback(session)
        throw error
      }
    }),
  )
}

/** Undoes the open transaction. A connection that cannot is not to be used again: its error says so. */
export async function rollback(session: MysqlSession): Promise<void> {
  try {
    await session.query('ROLLBACK')
  } catch (cause) {
    throw Object.assign(new Error('the transaction could not be rolled back', { cause }), { fatal: true })
  }
}

async function tried<T>(parts: OwnParts, body: () => Promise<T>): Promise<T> {
  const { timers, random, driver } = parts
  try {
    return await retrying({ timers, random, tries: TRIES, isTransient }, body)
  } catch (error) {
    throw mysqlFailure(error, driver.where)
  }
}
