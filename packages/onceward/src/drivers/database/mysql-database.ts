import { OncewardError } from '../../core/errors.ts'
import { joining } from '../adapt/index.ts'
import {
  assertUsable,
  foundSchema,
  isRefusal,
  type MysqlPool,
  migrateSchema,
  mysqlDriver,
  mysqlFailure,
  ownStatement,
  ownTransaction,
  prepareDatabase,
  promisePool,
  userTransactions,
  whereOf,
} from '../mysql/index.ts'
import type { SqlSession } from '../sql/index.ts'
import type { DatabaseSettings } from './database-options.ts'
import { localHints } from './local-hints.ts'
import { answerLost } from './lost-answer.ts'
import { ownCalls } from './own-calls.ts'
import type { SqlDatabase } from './sql-database.ts'
import { driveAsync, type MakeWork, type SqlCall } from './sql-work.ts'

/** A MySQL or MariaDB database over a pool of `mysql2`. */
export function mysqlDatabase(given: MysqlPool, settings: DatabaseSettings): SqlDatabase {
  const pool = promisePool(given, settings.user)
  const where = whereOf(pool)
  const { timers, random, queryTimeoutMs } = settings
  const driver = mysqlDriver({ pool, where, timers, queryTimeoutMs })
  const parts = { driver, timers, random }
  const ready = prepareDatabase(parts, settings.autoMigrate ?? false)
  const joined = joining('mysql', { failure: (error) => mysqlFailure(error, where), random })
  const transactions = userTransactions({
    ...parts,
    lockTimeoutMs: queryTimeoutMs,
    newNotes: () => undefined,
  })
  let checked = false
  const { assertOpen, inOurs, close } = ownCalls({
    where,
    user: settings.user,
    failure: (error) => mysqlFailure(error, where),
  })
  const call = <T>(body: () => Promise<T>, { anySchema = false } = {}): Promise<T> =>
    inOurs(async () => {
      assertOpen()
      if (!anySchema && !ready.isReady()) await ready.await()
      return body()
    })
  /** Tells what was refused from what has lost its answer; the driver's own error is the cause of ours. */
  const orLost = (failed: unknown): unknown => {
    const sent = failed instanceof OncewardError ? failed.cause : failed
    return sent !== undefined && isRefusal(sent)
      ? mysqlFailure(failed, where)
      : answerLost(mysqlFailure(failed, where), where)
  }
  const through =
    (session: SqlSession) =>
    ({ statement, values }: SqlCall) =>
      session.query(statement.text, values)
  const within = <T>(session: SqlSession, make: MakeWork<T>): Promise<T> =>
    inOurs(() => driveAsync(make(), through(session)))

  return {
    dialect: 'mysql',
    where,
    table: (name) => name,
    read: (asked) => call(() => ownStatement(parts, (session) => through(session)(asked))),
    write: (asked) =>
      call(() =>
        ownStatement(parts, (session) => through(session)(asked)).catch((error) => {
          throw orLost(error)
        }),
      ),
    transaction: (make) =>
      call(async () => {
        let isCommitting = false
        try {
          return await ownTransaction(parts, async (session) => {
            isCommitting = false
            const value = await driveAsync(make(), through(session))
            isCommitting = true
            return value
          })
        } catch (error) {
          throw isCommitting ? orLost(error) : error
        }
      }),
    async transact(body) {
      await call(async () => {})
      return transactions.run((handle, { session }) => body({ handle, run: (make) => within(session, make) }))
    },
    async within(handle, make) {
      assertOpen()
      const session = joined.sessionOf(handle)
      await joined.assertInTransaction(handle)
      // By the transaction's own connection: the pool may have no other.
      if (!checked) await inOurs(async () => assertUsable(await foundSchema(session), where))
      checked = true
      return within(session, make)
    },
    hints: () => localHints(),
    migrate: () => call(() => migrateSchema(parts), { anySchema: true }),
    async close() {
      close()
    },
  }
}
