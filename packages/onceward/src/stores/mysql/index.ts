export { type MysqlStore, mysqlStore } from './mysql-store.ts'
export type { MysqlStoreOptions } from './mysql-store-options.ts'
