import { joining } from '../adapt/index.ts'
import {
  assertUsable,
  CommitFailed,
  isRefusal,
  migrateSchema,
  ownTransaction,
  type PgAnswer,
  type PgValue,
  type PostgresPool,
  pgDriver,
  pgFailure,
  prepareDatabase,
  type Run,
  runIn,
  serverFacts,
  type TextRow,
  whileInConflict,
} from '../pg/index.ts'
import type { SqlResult, SqlValue } from '../sql/index.ts'
import { changeHints } from './change-hints.ts'
import type { DatabaseSettings } from './database-options.ts'
import { answerLost } from './lost-answer.ts'
import { ownCalls } from './own-calls.ts'
import type { SqlDatabase } from './sql-database.ts'
import { driveAsync, type MakeWork, type SqlCall, type SqlStatement } from './sql-work.ts'

/** A PostgreSQL database over a pool of `pg` or a root `sql` of `postgres`. */
export function postgresDatabase(pool: PostgresPool, settings: DatabaseSettings): SqlDatabase {
  const driver = pgDriver(pool, settings)
  const { where } = driver
  const parts = { driver, settings }
  const ready = prepareDatabase(parts, settings.autoMigrate ?? false)
  const joined = joining('postgres', {
    failure: (error) => pgFailure(error, where),
    random: settings.random,
  })
  let checked = false
  const { assertOpen, inOurs, close } = ownCalls({
    where,
    user: settings.user,
    failure: (error) => pgFailure(error, where),
  })
  const call = <T>(body: () => Promise<T>, { anySchema = false } = {}): Promise<T> =>
    inOurs(async () => {
      assertOpen()
      if (!anySchema) await ready.await()
      return body()
    })
  /** Tells what was refused from what has lost its answer. */
  const orLost = (sent: unknown): unknown =>
    isRefusal(sent) ? pgFailure(sent, where) : answerLost(pgFailure(sent, where), where)
  const through =
    (run: Run) =>
    async ({ statement, values }: SqlCall): Promise<SqlResult> =>
      asRows(await run(statement, values.map(pgValue)), statement)
  const within = <T>(run: Run, make: MakeWork<T>): Promise<T> =>
    inOurs(() => driveAsync(make(), through(run)))

  return {
    dialect: 'postgres',
    where,
    table: (name) => `"${settings.schema}".${name}`,
    read: (asked) => call(() => through(ready.run)(asked)),
    write: (asked) =>
      call(() =>
        whileInConflict({ settings }, () => through(ready.run)(asked)).catch((error) => {
          throw orLost(error)
        }),
      ),
    transaction: (make) =>
      call(() =>
        ownTransaction(parts, (tx) => driveAsync(make(), through(tx.run))).catch((error) => {
          throw error instanceof CommitFailed ? orLost(error.cause) : error
        }),
      ),
    async transact(body) {
      await call(async () => {})
      let thrown: unknown
      const once = () =>
        driver.transaction(async (tx) => {
          try {
            return await body({ handle: tx.handle, run: (make) => within(tx.run, make) })
          } catch (error) {
            thrown = error
            throw error
          }
        })
      try {
        return await whileInConflict({ settings }, once)
      } catch (error) {
        if (error instanceof CommitFailed) throw orLost(error.cause)
        throw Object.is(error, thrown) ? error : pgFailure(error, where)
      }
    },
    async within(handle, make) {
      assertOpen()
      const session = joined.sessionOf(handle)
      await joined.assertInTransaction(handle)
      const run = runIn(session)
      // By the transaction's own connection: the pool may have no other.
      if (!checked) await inOurs(async () => assertUsable(await serverFacts(run, settings.schema), where))
      checked = true
      return within(run, make)
    },
    hints: (channel) =>
      changeHints({ driver, settings, run: ready.run, channel: `${channel}_${settings.schema}` }),
    migrate: () => call(() => migrateSchema(parts), { anySchema: true }),
    async close() {
      close()
    },
  }
}

/** Numbers are written as text: every statement casts its parameters. */
function pgValue(value: SqlValue): PgValue {
  return value === null || typeof value === 'string' || value instanceof Uint8Array ? value : String(value)
}

function asRows({ rows, affected }: PgAnswer, { columns }: SqlStatement): SqlResult {
  const blank: NamedRow = {}
  for (const column of columns) blank[column] = null
  return { rows: rows.map((row) => asRow(row, columns, blank)), affected }
}

type NamedRow = Record<string, string | null>

/** From a copy of one with all columns, not by growing: a claim has twenty for each of hundreds of tasks. */
function asRow(row: TextRow, columns: readonly string[], blank: NamedRow): NamedRow {
  const named = { ...blank }
  for (let index = 0; index < columns.length; index++) named[columns[index] as string] = row[index] ?? null
  return named
}
