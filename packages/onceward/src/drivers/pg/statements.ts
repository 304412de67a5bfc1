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

/**
 * Ends the session that stands still between two statements of a transaction of our own, after so many ms: a process that is
 * paused there would keep its row locks, and with them everybody else, for as long as it is paused. As a call in a select
 * list it counts until the end of the transaction, on whatever connection of a pooler it runs.
 */
export const ENDS_IF_IDLE = "set_config('idle_in_transaction_session_timeout', '2000', true)"
