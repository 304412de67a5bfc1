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
