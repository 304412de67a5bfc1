import { NOW_MS, type SqlCall, type SqlStatement } from '../drivers/database/index.ts'
import { type InboxCalls, MAX_ROWS } from './inbox-calls.ts'

const NOW = NOW_MS.sqlite
const LISTED = '(SELECT value FROM json_each(?))'

const plain = (text: string, columns: readonly string[] = []): SqlStatement => ({ text, columns })

const purge = (table: string, time: string) =>
  plain(
    `DELETE FROM ${table} WHERE (consumer, message_id) IN (
      SELECT consumer, message_id FROM ${table} WHERE consumer = ? AND ${time} < ${NOW} - ?
      ORDER BY ${time} LIMIT ${MAX_ROWS})`,
  )

const TAKE = plain(
  `INSERT INTO onceward_inbox (consumer, message_id, processed_at) VALUES (?, ?, ${NOW}) ON CONFLICT DO NOTHING`,
)
const TAKE_MANY = plain(
  `INSERT INTO onceward_inbox (consumer, message_id, processed_at) SELECT ?, value, ${NOW} FROM json_each(?) WHERE true
  ON CONFLICT DO NOTHING RETURNING message_id AS id`,
  ['id'],
)
const UNTAKE = plain(`DELETE FROM onceward_inbox WHERE consumer = ? AND message_id IN ${LISTED}`)
const FAILED = plain(
  `SELECT message_id AS id, attempts, dead_at FROM onceward_inbox_failures WHERE consumer = ? AND message_id IN ${LISTED}`,
  ['id', 'attempts', 'dead_at'],
)
const FORGIVE = plain(`DELETE FROM onceward_inbox_failures WHERE consumer = ? AND message_id IN ${LISTED}`)
const ADD_FAILURE = plain(
  `INSERT INTO onceward_inbox_failures (consumer, message_id, attempts, failed_at, dead_at, history)
  VALUES (?, ?, 0, ${NOW}, NULL, '[]') ON CONFLICT DO NOTHING`,
)
const LOCK_FAILURE = plain(
  `SELECT attempts, dead_at, history, ${NOW} AS now FROM onceward_inbox_failures WHERE consumer = ? AND message_id = ?`,
  ['attempts', 'dead_at', 'history', 'now'],
)
const SET_FAILURE = plain(
  `UPDATE onceward_inbox_failures SET attempts = ?, dead_at = ?, history = ?, failed_at = ${NOW}
  WHERE consumer = ? AND message_id = ?`,
)
const LIST_FAILURES = plain(
  `SELECT message_id AS id, attempts, dead_at, failed_at, history FROM onceward_inbox_failures
  WHERE consumer = ? AND message_id > ? AND (dead_at IS NOT NULL OR NOT ?) ORDER BY message_id LIMIT ${MAX_ROWS}`,
  ['id', 'attempts', 'dead_at', 'failed_at', 'history'],
)
const PURGE = purge('onceward_inbox', 'processed_at')
const PURGE_FAILURES = purge('onceward_inbox_failures', 'failed_at')
const FACTS = plain(
  `SELECT (SELECT min(processed_at) FROM onceward_inbox WHERE consumer = ?) AS oldest, ${NOW} AS now,
    (SELECT count(*) FROM onceward_inbox_failures WHERE consumer = ? AND dead_at IS NOT NULL) AS dead`,
  ['oldest', 'now', 'dead'],
)

/** The calls on SQLite. */
export function sqliteCalls(consumer: string): InboxCalls {
  const call = (statement: SqlStatement, ...values: SqlCall['values']): SqlCall => ({
    statement,
    values: [consumer, ...values],
  })
  return {
    take: (id) => call(TAKE, id),
    takeMany: (ids) => call(TAKE_MANY, JSON.stringify(ids)),
    untake: (ids) => call(UNTAKE, JSON.stringify(ids)),
    failed: (ids) => call(FAILED, JSON.stringify(ids)),
    forgive: (ids) => call(FORGIVE, JSON.stringify(ids)),
    addFailure: (id) => call(ADD_FAILURE, id),
    lockFailure: (id) => call(LOCK_FAILURE, id),
    setFailure: (id, { attempts, deadAt, history }) => ({
      statement: SET_FAILURE,
      values: [attempts, deadAt, history, consumer, id],
    }),
    listFailures: (after, deadOnly) => call(LIST_FAILURES, after, deadOnly),
    purge: (retentionMs) => call(PURGE, retentionMs),
    purgeFailures: (retentionMs) => call(PURGE_FAILURES, retentionMs),
    facts: () => call(FACTS, consumer),
    readId: String,
  }
}
