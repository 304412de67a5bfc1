import type { PgStatement } from './pg-driver.ts'
import { statementName } from './statement-name.ts'

/** The server's clock in whole ms. Never `now()`, which stands still at the start of a transaction. */
export const NOW_MS = 'floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint'

/** A statement that is not worth preparing. */
export function plain(text: string, columns: readonly string[]): PgStatement {
  return { text, columns }
}

/** A statement that is prepared once a connection. */
export function named(word: string, text: string, columns: readonly string[]): PgStatement {
  return { text, columns, name: statementName(word, text) }
}
