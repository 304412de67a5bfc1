export type { PgPoolHandle } from './node-postgres.ts'
export { notifications } from './notifications.ts'
export { type PostgresPool, pgDriver } from './open-driver.ts'
export { backOff, ownTransaction, whileInConflict } from './own-transaction.ts'
export { plainArray, textArray } from './pg-array.ts'
export {
  CommitFailed,
  type PgAnswer,
  type PgDriver,
  type PgStatement,
  type PgValue,
  type Run,
  type TextRow,
} from './pg-driver.ts'
export { failure, isConflict, isLockTimeout, isRefusal, isSchemaMissing, pgFailure } from './pg-errors.ts'
export type { PorsagerHandle } from './porsager.ts'
export { prepareDatabase } from './prepare-database.ts'
export { runIn } from './run-in.ts'
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
export { statementName } from './statement-name.ts'
export { ENDS_IF_IDLE, NOW_MS, named, plain } from './statements.ts'
