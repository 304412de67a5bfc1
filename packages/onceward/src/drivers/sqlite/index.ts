export { CHANGE_MARK } from './change-mark.ts'
export { keptInPlace } from './file-in-place.ts'
export { openSqlite } from './open-sqlite.ts'
export { prepareDatabase } from './prepare-database.ts'
export { refusePromise } from './refuse-promise.ts'
export {
  assertSchema,
  migrateSchema,
  type PendingMigration,
  pendingMigrations,
  SCHEMA_VERSION,
  schemaVersion,
} from './schema.ts'
export { type SqliteConnection, sqliteConnection } from './sqlite-connection.ts'
export type { SqliteContext } from './sqlite-context.ts'
export { failure, isBusy, sqliteFailure } from './sqlite-errors.ts'
export { isSqliteHandle, type SqliteHandle, type SqliteStatement, type SqliteValue } from './sqlite-handle.ts'
export { closedError, lockedError, pauseMs, undo, writeTransaction } from './write-lock.ts'
