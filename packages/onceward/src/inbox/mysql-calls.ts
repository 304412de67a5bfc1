import type { SqlCall, SqlStatement } from '../drivers/database/index.ts'
import { JSON_PARAMETER, NOW_MS } from '../drivers/mysql/index.ts'
import { type InboxCalls, MAX_ROWS } from './inbox-calls.ts'

/*
 * In what MySQL 8.0 and MariaDB 10.6 have in common; they mean the same in every sql_mode and character set. What may be any
 * text is bound as hexadecimal digits. IGNORE leaves a message that is there alone; there are no other errors to ignore.
 */

const LISTED = `JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (id VARCHAR(2048) CHARACTER SET ascii PATH '$')) AS j`

/** The rows of a list. In a small table the optimizer would rather read, and lock, all of it. */
const rowsOf = (table: string) =>
  `${LISTED} STRAIGHT_JOIN ${table} AS o FORCE INDEX (PRIMARY) ON o.consumer = UNHEX(?) AND o.message_id = UNHEX(j.id)`

const plain = (text: string, columns: readonly string[] = []): SqlStatement => ({ text, columns })

const purge = (table: string, time: string) =>
  plain(
    `DELETE FROM ${table} WHERE consumer = UNHEX(?) AND ${time} < ${NOW_MS} - CAST(? AS SIGNED)
    ORDER BY ${time} LIMIT ${MAX_ROWS}`,
  )

const TAKE = plain(
  `INSERT IGNORE INTO onceward_inbox (consumer, message_id, processed_at) VALUES (UNHEX(?), UNHEX(?), ${NOW_MS})`,
)
const TAKE_MANY = plain(
  `INSERT IGNORE INTO onceward_inbox (consumer, message_id, processed_at, batch)
  SELECT UNHEX(?), UNHEX(j.id), ${NOW_MS}, ? FROM ${LISTED}`,
)
const TAKEN = plain(`SELECT HEX(o.message_id) AS id FROM ${rowsOf('onceward_inbox')} WHERE o.batch = ?`, [
  'id',
])
const UNTAKE = plain(`DELETE o FROM ${rowsOf('onceward_inbox')}`)
const FAILED = plain(
  `SELECT HEX(o.message_id) AS id, o.attempts, o.dead_at FROM ${rowsOf('onceward_inbox_failures')}`,
  ['id', 'attempts', 'dead_at'],
)
const FORGIVE = plain(`DELETE o FROM ${rowsOf('onceward_inbox_failures')}`)
const ADD_FAILURE = plain(
  `INSERT IGNORE INTO onceward_inbox_failures (consumer, message_id, attempts, failed_at, dead_at, history)
  VALUES (UNHEX(?), UNHEX(?), 0, ${NOW_MS}, NULL, '[]')`,
)
const LOCK_FAILURE = plain(
  `SELECT attempts, dead_at, history, ${NOW_MS} AS now FROM onceward_inbox_failures
  WHERE consumer = UNHEX(?) AND message_id = UNHEX(?) FOR UPDATE`,
  ['attempts', 'dead_at', 'history', 'now'],
)
const SET_FAILURE = plain(
  `UPDATE onceward_inbox_failures
  SET attempts = CAST(? AS SIGNED), dead_at = CAST(? AS SIGNED), history = ?, failed_at = ${NOW_MS}
  WHERE consumer = UNHEX(?) AND message_id = UNHEX(?)`,
)
const LIST_FAILURES = plain(
  `SELECT HEX(message_id) AS id, attempts, dead_at, failed_at, history FROM onceward_inbox_failures
  WHERE consumer = UNHEX(?) AND message_id > UNHEX(?) AND (dead_at IS NOT NULL OR CAST(? AS SIGNED) = 0)
  ORDER BY message_id LIMIT ${MAX_ROWS}`,
  ['id', 'attempts', 'dead_at', 'failed_at', 'history'],
)
const PURGE = purge('onceward_inbox', 'processed_at')
const PURGE_FAILURES = purge('onceward_inbox_failures', 'failed_at')
const FACTS = plain(
  `SELECT (SELECT MIN(processed_at) FROM onceward_inbox WHERE consumer = UNHEX(?)) AS oldest, ${NOW_MS} AS now,
    (SELECT COUNT(*) FROM onceward_inbox_failures WHERE consumer = UNHEX(?) AND dead_at IS NOT NULL) AS dead`,
  ['oldest', 'now', 'dead'],
)

/** The calls on MySQL and MariaDB. */
export function mysqlCalls(name: string): InboxCalls {
  const consumer = hex(name)
  const call = (statement: SqlStatement, ...values: SqlCall['values']): SqlCall => ({ statement, values })
  return {
    take: (id) => call(TAKE, consumer, hex(id)),
    takeMany: (ids, batch) => call(TAKE_MANY, consumer, batch, list(ids)),
    taken: (ids, batch) => call(TAKEN, list(ids), consumer, batch),
    untake: (ids) => call(UNTAKE, list(ids), consumer),
    failed: (ids) => call(FAILED, list(ids), consumer),
    forgive: (ids) => call(FORGIVE, list(ids), consumer),
    addFailure: (id) => call(ADD_FAILURE, consumer, hex(id)),
    lockFailure: (id) => call(LOCK_FAILURE, consumer, hex(id)),
    setFailure: (id, { attempts, deadAt, history }) =>
      call(SET_FAILURE, attempts, deadAt, history, consumer, hex(id)),
    listFailures: (after, deadOnly) => call(LIST_FAILURES, consumer, hex(after), Number(deadOnly)),
    purge: (retentionMs) => call(PURGE, consumer, retentionMs),
    purgeFailures: (retentionMs) => call(PURGE_FAILURES, consumer, retentionMs),
    facts: () => call(FACTS, consumer, consumer),
    readId: (value) => Buffer.from(String(value), 'hex').toString(),
  }
}

const hex = (text: string) => Buffer.from(text).toString('hex')
const list = (ids: readonly string[]) => JSON.stringify(ids.map(hex))
