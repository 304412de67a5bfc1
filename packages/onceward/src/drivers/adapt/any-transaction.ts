import { asThrown, driveAsync, driveSync, type SqlCall, type SqlWork } from '../database/sql-work.ts'
import type { SqlDialect, SqlResult, SqlValue } from '../sql/sql-session.ts'
import { isSqliteHandle, type SqliteHandle, type SqliteValue } from '../sqlite/sqlite-handle.ts'
import { sessionOf } from './session-of.ts'
import { sqliteHandleOf } from './sqlite-handle-of.ts'

/**
 * Runs work on the handle of a transaction, of whatever package and database: at once on SQLite, where the answer is no
 * promise and errors are thrown. Errors of the database are thrown as they are.
 *
 * Limit: it does not ask whether a transaction is open.
 *
 * @param given - What the handle speaks. Default: what its shape says, see {@link sessionOf}.
 * @throws `TypeError` for a pool, and for what is no handle.
 */
export function runOn<T>(
  tx: unknown,
  given: SqlDialect | undefined,
  make: (dialect: SqlDialect) => SqlWork<T>,
): T | Promise<T> {
  const sqlite = sqliteOf(tx, given)
  if (!sqlite) return runOnServer(tx, given, make)
  try {
    return driveSync(make('sqlite'), (call) => askSqlite(sqlite, call))
  } catch (error) {
    throw asThrown(error)
  }
}

/** The SQLite database of a handle; nothing for a handle of a server. */
export function sqliteOf(tx: unknown, given?: SqlDialect): SqliteHandle | undefined {
  if (given !== undefined && given !== 'sqlite') return undefined
  const handle = sqliteHandleOf(tx)
  return isSqliteHandle(handle) ? handle : undefined
}

async function runOnServer<T>(
  tx: unknown,
  given: SqlDialect | undefined,
  make: (dialect: SqlDialect) => SqlWork<T>,
): Promise<T> {
  const session = sessionOf(tx, given)
  try {
    return await driveAsync(make(session.dialect), ({ statement, values }) =>
      session.query(statement.text, values),
    )
  } catch (error) {
    throw asThrown(error)
  }
}

function askSqlite(handle: SqliteHandle, { statement, values }: SqlCall): SqlResult {
  const prepared = handle.prepare(statement.text)
  const bound = values.map(sqliteValue)
  if (statement.columns.length === 0) return { rows: [], affected: Number(prepared.run(...bound).changes) }
  // Whatever the handle was opened with: rows are objects, and no whole number is too large to be read.
  const settings = prepared as Partial<Record<(typeof SETTINGS)[number][0], (on: boolean) => unknown>>
  for (const [name, on] of SETTINGS) settings[name]?.call(prepared, on)
  const rows = (prepared.all(...bound) as SqlResult['rows']).map(withNumbers)
  return { rows, affected: rows.length }
}

const SETTINGS = [
  ['setReturnArrays', false],
  ['setReadBigInts', true],
  ['safeIntegers', true],
] as const

/** Whole numbers as numbers, where they are exact. */
function withNumbers(row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => {
      const exact = typeof value === 'bigint' && Number.isSafeInteger(Number(value))
      return [name, exact ? Number(value) : value]
    }),
  )
}

function sqliteValue(value: SqlValue): SqliteValue {
  return typeof value === 'boolean' ? Number(value) : value
}
