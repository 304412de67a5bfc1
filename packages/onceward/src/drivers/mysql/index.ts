export { type MysqlDriver, mysqlDriver, type TakenConnection } from './mysql-driver.ts'
export {
  failure,
  isConflict,
  isLockTimeout,
  isRefusal,
  isSavepointMissing,
  isTransient,
  mysqlErrno,
  mysqlFailure,
  schemaMissing,
} from './mysql-errors.ts'
export { type MysqlConnection, type MysqlPool, promisePool, whereOf } from './mysql-handle.ts'
export { type MysqlResult, type MysqlSession, mysqlSession } from './mysql-session.ts'
