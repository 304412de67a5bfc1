export { type SqliteLocks, sqliteLocks } from './sqlite-locks.ts'
export type { SqliteLocksOptions } from './sqlite-locks-options.ts'
