/** What may be bound to a parameter. */
export type SqlValue = null | boolean | number | bigint | string | Uint8Array

/** What a statement answers. */
export interface SqlResult {
  readonly rows: readonly Readonly<Record<string, unknown>>[]
  /** How many rows it has written. */
  readonly affected: number
  /** On MySQL, what `LAST_INSERT_ID(…)` was set to, where the package tells. */
  readonly insertId?: number | bigint | string
  /** Whether a transaction was open when the statement had ended; absent where the driver does not tell. */
  readonly inTransaction?: boolean
}

/** Which SQL a session speaks. */
export type SqlDialect = 'postgres' | 'mysql' | 'sqlite'

/**
 * One connection, or one transaction on it, whatever driver, query builder or ORM it belongs to. Statements run one
 * after another. `$1`… are the parameters on PostgreSQL, `?` on MySQL and SQLite.
 */
export interface SqlSession {
  readonly dialect: SqlDialect
  /** Runs one fixed statement. Errors of the driver are thrown as they are, or as the cause of what is thrown. */
  query(text: string, values: readonly SqlValue[]): Promise<SqlResult>
}
