export type { SqliteHandle, SqliteStatement, SqliteValue } from '../../drivers/sqlite/index.ts'
export { type SqliteStore, type SqliteStoreOptions, sqliteStore } from './sqlite-store.ts'
export type { Synchronous } from './store-ready.ts'
export type { SyncTransactions } from './store-transactions.ts'
