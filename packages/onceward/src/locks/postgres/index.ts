export { type LockForTransactionOptions, lockForTransaction } from './lock-for-transaction.ts'
export { type PostgresLocks, postgresLocks } from './postgres-locks.ts'
export type { PostgresLocksOptions } from './postgres-locks-options.ts'
