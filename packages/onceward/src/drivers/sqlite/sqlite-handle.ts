/** What may be bound to a parameter. */
export type SqliteValue = null | number | bigint | string | Uint8Array

/** The part of a prepared statement that is used. */
export interface SqliteStatement {
  run(...values: SqliteValue[]): {
    readonly changes: number | bigint
    readonly lastInsertRowid: number | bigint
  }
  get(...values: SqliteValue[]): unknown
  all(...values: SqliteValue[]): unknown[]
}

/**
 * The part of an open SQLite database that is used: `DatabaseSync` of `node:sqlite` or `@photostructure/sqlite`, or the
 * `Database` of better-sqlite3. Nothing of them is imported.
 */
export interface SqliteHandle {
  prepare(sql: string): SqliteStatement
  exec(sql: string): unknown
  close(): unknown
  /** `DatabaseSync`: whether a transaction is open. Absent before Node.js 22.16. */
  readonly isTransaction?: boolean
  /** better-sqlite3: whether a transaction is open. */
  readonly inTransaction?: boolean
}

/** Tells whether `value` looks like an open SQLite database. */
export function isSqliteHandle(value: unknown): value is SqliteHandle {
  if (typeof value !== 'object' || value === null) return false
  const { prepare, exec, close } = value as Partial<SqliteHandle>
  return typeof prepare === 'function' && typeof exec === 'function' && typeof close === 'function'
}
