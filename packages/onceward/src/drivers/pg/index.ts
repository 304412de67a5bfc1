export type { PgPoolHandle } from './node-postgres.ts'
export { type Notifications, notifications } from './notifications.ts'
export { type PostgresPool, pgDriver } from './open-driver.ts'
export { backOff, ownTransaction, whileInConflict } from './own-transaction.ts'
export { plainArray, textArray } from './pg-array.ts'
export {
  CommitFailed,
  type Listening,
  type PgAnswer,
  type PgDriver,
  type PgListener,
  type PgStatement,
  type PgTransaction,
  type PgValue,
  type Run,
  type TextRow,
} from './pg-driver.ts'
export {
  failure,
  isConflict,
  isLockTimeout,
  isRefusal,
  isSchemaMissing,
  pgFailure,
  schemaMissing,
} from './pg-errors.ts'
export type { PorsagerHandle } from './porsager.ts'
export { type PreparedDatabase, prepareDatabase } from './prepare-database.ts'
export {
  assertUsable,
  isTooNew,
  migrateSchema,
  type PendingMigration,
  pendingAfter,
  SCHEMA_VERSION,
  type ServerFacts,
  serverFacts,
} from './schema.ts'
export { checkedSchema } from './schema-name.ts'
export { NOW_MS, named, plain } from './statements.ts'
