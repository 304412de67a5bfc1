export { asciiJson, toAsciiJson } from './ascii-json.ts'
export { type MysqlDriver, mysqlDriver, type TakenConnection } from './mysql-driver.ts'
export {
  failure,
  isRefusal,
  isSavepointMissing,
  isTransient,
  mysqlErrno,
  mysqlFailure,
  schemaMissing,
} from './mysql-errors.ts'
export { type MysqlPool, promisePool, whereOf } from './mysql-handle.ts'
export type { MysqlSession } from './mysql-session.ts'
export { COMMIT, type OwnParts, ownStatement, ownTransaction, ROLLBACK } from './own-statements.ts'
export { type PreparedDatabase, prepareDatabase } from './prepare-database.ts'
export { assertUsable, foundSchema, migrateSchema, pendingMigrations, SCHEMA_VERSION } from './schema.ts'
export { JSON_PARAMETER, NOW_MS, NOW_US, READ_NOW } from './sql-parts.ts'
export { withLockTimeout } from './with-lock-timeout.ts'
