export { asciiJson, toAsciiJson, utf8 } from './ascii-json.ts'
export { type MysqlDriver, mysqlDriver } from './mysql-driver.ts'
export { failure, isRefusal, mysqlFailure } from './mysql-errors.ts'
export { type MysqlPool, promisePool, whereOf } from './mysql-handle.ts'
export type { MysqlSession } from './mysql-session.ts'
export { ownStatement, ownTransaction, ROLLBACK } from './own-statements.ts'
export { prepareDatabase } from './prepare-database.ts'
export { assertUsable, foundSchema, migrateSchema, pendingMigrations, SCHEMA_VERSION } from './schema.ts'
export { JSON_PARAMETER, NOW_MS, NOW_US, READ_NOW } from './sql-parts.ts'
export {
  type UserTransaction,
  type UserTransactions,
  userTransactions,
} from './user-transactions.ts'
export { withLockTimeout } from './with-lock-timeout.ts'
