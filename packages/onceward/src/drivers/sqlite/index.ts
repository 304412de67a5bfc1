export { openSqlite } from './open-sqlite.ts'
export { type SqliteConnection, sqliteConnection } from './sqlite-connection.ts'
export { busyError, failure, isBusy, schemaMissing, sqliteFailure } from './sqlite-errors.ts'
export { isSqliteHandle, type SqliteHandle, type SqliteStatement, type SqliteValue } from './sqlite-handle.ts'
