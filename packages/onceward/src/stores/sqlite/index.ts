export type { SqliteHandle, SqliteStatement, SqliteValue } from '../../drivers/sqlite/index.ts'
export { type SqliteStore, sqliteStore } from './sqlite-store.ts'
export type { SqliteStoreOptions, Synchronous } from './sqlite-store-options.ts'
export type { SyncTransactions } from './store-transactions.ts'
