export type { PgPoolHandle } from './node-postgres.ts'
export { type PostgresPool, pgDriver } from './open-driver.ts'
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
