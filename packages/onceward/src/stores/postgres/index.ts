export type { PendingMigration, PgPoolHandle, PorsagerHandle, PostgresPool } from '../../drivers/pg/index.ts'
export { type PostgresStore, postgresStore } from './postgres-store.ts'
export type { PostgresStoreOptions } from './postgres-store-options.ts'
