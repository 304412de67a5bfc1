export { type LockForTransactionOptions, lockForTransaction } from './lock-for-transaction.ts'
export { type MysqlLocks, mysqlLocks } from './mysql-locks.ts'
export type { MysqlLocksOptions } from './mysql-locks-options.ts'
