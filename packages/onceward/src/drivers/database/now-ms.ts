import { NOW_MS as MYSQL_NOW_MS } from '../mysql/index.ts'
import { NOW_MS as PG_NOW_MS } from '../pg/index.ts'
import type { SqlDialect } from '../sql/index.ts'

/**
 * The server's time in whole ms since the epoch, as an expression: of the moment on PostgreSQL, of the beginning of the
 * statement elsewhere. Never the time of the beginning of a transaction.
 */
export const NOW_MS: Readonly<Record<SqlDialect, string>> = {
  postgres: PG_NOW_MS,
  mysql: MYSQL_NOW_MS,
  sqlite: "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
}
