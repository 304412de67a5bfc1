import { OncewardError } from '../../core/errors.ts'
import type { SqlResult, SqlValue } from '../sql/index.ts'
import {
  assertSchema,
  keptInPlace,
  migrateSchema,
  openSqlite,
  prepareDatabase,
  refusePromise,
  type SqliteConnection,
  type SqliteContext,
  type SqliteHandle,
  type SqliteValue,
  sqliteConnection,
  sqliteFailure,
  writeTransaction,
} from '../sqlite/index.ts'
import type { DatabaseSettings } from './database-options.ts'
import { localHints } from './local-hints.ts'
import type { SqlDatabase } from './sql-database.ts'
import { asThrown, driveSync, type MakeWork, type SqlCall } from './sql-work.ts'
import { sqliteConnections } from './sqlite-connections.ts'

/** Marks a transaction: where the mark is gone at the end, the body has ended the transaction, even if it has begun another one. */
const MARK = 'SAVEPOINT onceward_transaction'
const UNMARK = 'RELEASE onceward_transaction'

/** A SQLite file, opened here by its path, or a database that the user has opened. */
export function sqliteDatabase(pathOrHandle: string | SqliteHandle, settings: DatabaseSettings): SqlDatabase {
  const file = typeof pathOrHandle === 'string' ? pathOrHandle : undefined
  const handle = typeof pathOrHandle === 'string' ? openSqlite(pathOrHandle) : pathOrHandle
  const plain = sqliteConnection(handle, file ?? 'of the given handle')
  const connection = file === undefined ? plain : keptInPlace(plain, file)
  const { clock, timers, random, user } = settings
  const where = `the SQLite database ${connection.path}`
  let closed = false
  const isClosed = () => closed
  const busyTimeoutMs = settings.queryTimeoutMs
  const context: SqliteContext = { connection, clock, timers, random, busyTimeoutMs, isClosed }
  const ready = prepareDatabase(context, {
    opened: file !== undefined,
    autoMigrate: settings.autoMigrate ?? file !== undefined,
    ...(file === undefined ? {} : { synchronous: 'full' }),
  })
  const joined = sqliteConnections(connection)
  const checked = new WeakSet<SqliteHandle>()

  const assertOpen = () => {
    if (closed) throw new OncewardError('CLOSED', `${user} on ${where} was closed; make a new one`)
  }
  /** Readies the connection; what SQLite throws becomes an error of ours. */
  const call = async <T>(body: () => T | Promise<T>, { anySchema = false } = {}): Promise<T> => {
    try {
      assertOpen()
      if (anySchema) await ready.configure()
      else if (!ready.isReady()) await ready.await()
      return await body()
    } catch (error) {
      throw failed(error, connection)
    }
  }
  const within = <T>(on: SqliteConnection, make: MakeWork<T>): T => {
    try {
      return driveSync(make(), (asked) => ask(on, asked))
    } catch (error) {
      throw failed(error, on)
    }
  }

  return {
    dialect: 'sqlite',
    where,
    table: (name) => name,
    read: (asked) => call(() => ask(connection, asked)),
    write: (asked) => call(() => writeTransaction(context, () => ask(connection, asked))),
    transaction: (make) =>
      call(() => writeTransaction(context, () => driveSync(make(), (asked) => ask(connection, asked)))),
    async transact(body) {
      await call(() => {})
      return writeTransaction(context, () => {
        connection.prepare(MARK).run()
        const answer = refusePromise(
          body({ handle, run: (make) => within(connection, make) }),
          'a transaction on SQLite',
        )
        try {
          connection.prepare(UNMARK).run()
        } catch (cause) {
          // Misuse, and no word about the effect: what was committed cannot be undone here.
          throw new TypeError(
            'the body ended its transaction itself; leave COMMIT and ROLLBACK to whoever began it',
            { cause },
          )
        }
        return answer
      })
    },
    within(tx, make) {
      assertOpen()
      const on = joined(tx)
      if (!checked.has(on.handle)) assertSchema(on)
      checked.add(on.handle)
      return within(on, make)
    },
    hints: () => localHints(),
    migrate: () => call(() => migrateSchema(context), { anySchema: true }),
    async close() {
      if (closed) return
      closed = true
      if (file !== undefined) handle.close()
    },
  }
}

/** What work has thrown as it is, and as an error of ours what SQLite has thrown. */
function failed(error: unknown, { path }: SqliteConnection): unknown {
  const thrown = asThrown(error)
  return thrown === error ? sqliteFailure(error, path) : thrown
}

function ask({ prepare }: SqliteConnection, { statement, values }: SqlCall): SqlResult {
  const prepared = prepare(statement.text)
  const bound = values.map(sqliteValue)
  if (statement.columns.length === 0) return { rows: [], affected: Number(prepared.run(...bound).changes) }
  const rows = prepared.all(...bound) as SqlResult['rows']
  return { rows, affected: rows.length }
}

function sqliteValue(value: SqlValue): SqliteValue {
  return typeof value === 'boolean' ? Number(value) : value
}
