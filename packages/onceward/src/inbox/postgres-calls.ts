import { NOW_MS, type SqlCall, type SqlStatement } from '../drivers/database/index.ts'
import { named, plain } from '../drivers/pg/index.ts'
import { type InboxCalls, MAX_ROWS } from './inbox-calls.ts'

const NOW = NOW_MS.postgres
/** Text first: `postgres` would write JSON of the JSON. */
const LISTED = '(SELECT jsonb_array_elements_text($2::text::jsonb))'

function statements(inbox: string, failures: string) {
  // As a subquery the time is asked for once, so that an index can serve the comparison.
  const purge = (table: string, time: string) =>
    plain(
      `DELETE FROM ${table} WHERE (consumer, message_id) IN (
        SELECT o.consumer, o.message_id FROM ${table} AS o
        WHERE o.consumer = $1::text AND o.${time} < (SELECT ${NOW}) - $2::bigint
        ORDER BY o.${time} LIMIT ${MAX_ROWS} FOR UPDATE SKIP LOCKED)`,
      [],
    )
  return {
    take: named(
      'inbox_take',
      `INSERT INTO ${inbox} (consumer, message_id, processed_at) VALUES ($1::text, $2::text, ${NOW})
      ON CONFLICT DO NOTHING`,
      [],
    ),
    takeMany: named(
      'inbox_take_many',
      `INSERT INTO ${inbox} AS o (consumer, message_id, processed_at)
      SELECT $1::text, j.id, ${NOW} FROM jsonb_array_elements_text($2::text::jsonb) WITH ORDINALITY AS j (id, place)
      ORDER BY j.place
      ON CONFLICT DO NOTHING RETURNING o.message_id::text AS id`,
      ['id'],
    ),
    untake: plain(`DELETE FROM ${inbox} WHERE consumer = $1::text AND message_id IN ${LISTED}`, []),
    failed: named(
      'inbox_failed',
      `SELECT message_id::text AS id, attempts::text AS attempts, dead_at::text AS dead_at FROM ${failures}
      WHERE consumer = $1::text AND message_id IN ${LISTED}`,
      ['id', 'attempts', 'dead_at'],
    ),
    forgive: plain(`DELETE FROM ${failures} WHERE consumer = $1::text AND message_id IN ${LISTED}`, []),
    addFailure: plain(
      `INSERT INTO ${failures} (consumer, message_id, attempts, failed_at, dead_at, history)
      VALUES ($1::text, $2::text, 0, ${NOW}, NULL, '[]') ON CONFLICT DO NOTHING`,
      [],
    ),
    lockFailure: plain(
      `SELECT attempts::text AS attempts, dead_at::text AS dead_at, history::text AS history, (${NOW})::text AS now
      FROM ${failures} WHERE consumer = $1::text AND message_id = $2::text FOR UPDATE`,
      ['attempts', 'dead_at', 'history', 'now'],
    ),
    setFailure: plain(
      `UPDATE ${failures} SET attempts = $3::integer, dead_at = $4::bigint, history = $5::text, failed_at = ${NOW}
      WHERE consumer = $1::text AND message_id = $2::text`,
      [],
    ),
    listFailures: plain(
      `SELECT o.message_id::text AS id, o.attempts::text AS attempts, o.dead_at::text AS dead_at,
        o.failed_at::text AS failed_at, o.history::text AS history
      FROM ${failures} AS o
      WHERE o.consumer = $1::text AND o.message_id > $2::text AND (o.dead_at IS NOT NULL OR $3::integer = 0)
      ORDER BY o.message_id LIMIT ${MAX_ROWS}`,
      ['id', 'attempts', 'dead_at', 'failed_at', 'history'],
    ),
    purge: purge(inbox, 'processed_at'),
    purgeFailures: purge(failures, 'failed_at'),
    facts: plain(
      `SELECT (SELECT min(processed_at) FROM ${inbox} WHERE consumer = $1::text)::text AS oldest, (${NOW})::text AS now,
        (SELECT count(*) FROM ${failures} WHERE consumer = $1::text AND dead_at IS NOT NULL)::text AS dead`,
      ['oldest', 'now', 'dead'],
    ),
  }
}

/** The calls on PostgreSQL. */
export function postgresCalls(table: (name: string) => string, consumer: string): InboxCalls {
  const all = statements(table('onceward_inbox'), table('onceward_inbox_failures'))
  const call = (statement: SqlStatement, ...values: SqlCall['values']): SqlCall => ({
    statement,
    values: [consumer, ...values],
  })
  return {
    take: (id) => call(all.take, id),
    takeMany: (ids) => call(all.takeMany, JSON.stringify(ids)),
    untake: (ids) => call(all.untake, JSON.stringify(ids)),
    failed: (ids) => call(all.failed, JSON.stringify(ids)),
    forgive: (ids) => call(all.forgive, JSON.stringify(ids)),
    addFailure: (id) => call(all.addFailure, id),
    lockFailure: (id) => call(all.lockFailure, id),
    setFailure: (id, { attempts, deadAt, history }) => call(all.setFailure, id, attempts, deadAt, history),
    listFailures: (after, deadOnly) => call(all.listFailures, after, Number(deadOnly)),
    purge: (retentionMs) => call(all.purge, retentionMs),
    purgeFailures: (retentionMs) => call(all.purgeFailures, retentionMs),
    facts: () => call(all.facts),
    readId: String,
  }
}
