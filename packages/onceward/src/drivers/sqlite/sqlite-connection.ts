import { isBusy, sqliteCode } from './sqlite-errors.ts'
import type { SqliteHandle, SqliteStatement } from './sqlite-handle.ts'

/** A handle with its prepared statements, the same for every driver. */
export interface SqliteConnection {
  readonly handle: SqliteHandle
  /** Where the database lies, for messages. */
  readonly path: string
  /** Prepares `sql` once; later calls get the same statement. `sql` is never built from input. */
  prepare(sql: string): SqliteStatement
  exec(sql: string): void
  /** Reads the only value of the first row. */
  value(sql: string): unknown
  inTransaction(): boolean
  /**
   * Begins a transaction that holds the write lock. Answers false, without having waited, when another connection
   * holds it or a transaction is open on this handle.
   */
  tryBegin(): boolean
  commit(): void
  /** Undoes the open transaction; harmless when SQLite has undone it already. */
  rollback(): void
}

/** Wraps a handle. The handle's own settings (BigInt results, rows as arrays, busy timeout) make no difference. */
export function sqliteConnection(handle: SqliteHandle, path: string): SqliteConnection {
  const statements = new Map<string, SqliteStatement>()
  const prepare = (sql: string): SqliteStatement => {
    const known = statements.get(sql)
    if (known) return known
    const statement = withPlainResults(handle.prepare(sql))
    statements.set(sql, statement)
    return statement
  }
  const value = (sql: string): unknown => {
    const row = prepare(sql).get()
    return typeof row === 'object' && row !== null ? Object.values(row)[0] : undefined
  }
  const begin = (): boolean => {
    try {
      prepare('BEGIN IMMEDIATE').run()
      return true
    } catch (error) {
      if (isBusy(error)) return false
      throw error
    }
  }
  let busyTimeoutMs: number | undefined
  const inTransaction = () => handle.isTransaction ?? handle.inTransaction ?? probeTransaction(handle)

  return {
    handle,
    path,
    prepare,
    exec: (sql) => void handle.exec(sql),
    value,
    inTransaction,
    tryBegin() {
      if (inTransaction()) return false
      // Waiting inside SQLite stops the whole event loop, so waiting is done outside, between tries.
      busyTimeoutMs ??= Number(value('PRAGMA busy_timeout'))
      if (busyTimeoutMs === 0) return begin()
      handle.exec('PRAGMA busy_timeout = 0')
      try {
        return begin()
      } finally {
        // A whole number read from SQLite itself.
        handle.exec(`PRAGMA busy_timeout = ${Math.trunc(busyTimeoutMs)}`)
      }
    },
    commit: () => void prepare('COMMIT').run(),
    rollback() {
      if (inTransaction()) prepare('ROLLBACK').run()
    },
  }
}

/** Makes a statement answer numbers and objects whatever the handle was opened with. */
function withPlainResults(statement: SqliteStatement): SqliteStatement {
  const settings = statement as Partial<
    Record<'setReadBigInts' | 'setReturnArrays' | 'safeIntegers', (on: boolean) => unknown>
  >
  settings.setReadBigInts?.call(statement, false)
  settings.setReturnArrays?.call(statement, false)
  settings.safeIntegers?.call(statement, false)
  return statement
}

/** For Node.js before 22.16: a deferred transaction takes no lock, and cannot begin inside another one. */
function probeTransaction(handle: SqliteHandle): boolean {
  try {
    handle.exec('BEGIN')
  } catch (error) {
    if (sqliteCode(error) === 1) return true
    throw error
  }
  handle.exec('ROLLBACK')
  return false
}
