import type { Random, Timers } from '../../core/clock.ts'
import { retrying } from '../sql/index.ts'
import type { MysqlDriver } from './mysql-driver.ts'
import { failure, isTransient, mysqlFailure } from './mysql-errors.ts'
import type { MysqlSession } from './mysql-session.ts'

/** How often a statement of ours is tried when it runs into deadlocks and lock timeouts. */
const TRIES = 8

/** These end a transaction and the connection goes on outside of one, also where `completion_type` says otherwise. */
export const COMMIT = 'COMMIT AND NO CHAIN NO RELEASE'
export const ROLLBACK = 'ROLLBACK AND NO CHAIN NO RELEASE'

/** The connection came with a transaction that somebody has left open: what ran in it is not committed. */
class LeftOpen extends Error {
  override readonly name: string = 'LeftOpen'
}

/** What running statements of our own needs. */
export interface OwnParts {
  readonly driver: MysqlDriver
  readonly timers: Timers
  readonly random: Random
}

/**
 * Runs one statement of ours that commits by itself. A deadlock with another one is part of the game: it is tried again. So is
 * what has written in a transaction that somebody has left open: that connection is thrown away, and the write with it.
 *
 * @throws `OncewardError`s, with effect none: at most a record was written, and asking again finds it.
 */
export function ownStatement<T>(parts: OwnParts, body: (session: MysqlSession) => Promise<T>): Promise<T> {
  return tried(parts, () =>
    parts.driver.use(async (session) => {
      let leftOpen = false
      const value = await body({
        ...session,
        async query(text, values) {
          const answer = await session.query(text, values)
          leftOpen ||= answer.inTransaction === true
          return answer
        },
      })
      if (leftOpen) throw new LeftOpen()
      return value
    }),
  )
}

/**
 * Runs `body` in a transaction of our own, again after a deadlock or a lost race. It reads what is committed at
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
        await session.query(COMMIT)
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
    await session.query(ROLLBACK)
  } catch (cause) {
    throw Object.assign(new Error('the transaction could not be rolled back', { cause }), { fatal: true })
  }
}

async function tried<T>(parts: OwnParts, body: () => Promise<T>): Promise<T> {
  const { timers, random, driver } = parts
  try {
    const again = (error: unknown) => error instanceof LeftOpen || isTransient(error)
    return await retrying({ timers, random, tries: TRIES, isTransient: again }, body)
  } catch (error) {
    if (!(error instanceof LeftOpen)) throw mysqlFailure(error, driver.where)
    throw failure(
      'STORE_UNAVAILABLE',
      `${driver.where}: connections of the pool come with a transaction left open; commit or roll back before release(), and leave autocommit on`,
    )
  }
}
