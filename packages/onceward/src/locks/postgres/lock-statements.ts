import { ENDS_IF_IDLE, NOW_MS, named, type PgStatement, plain } from '../../drivers/pg/index.ts'
import { IDLE_ROWS_KEPT_MS, LOCK_COLUMNS, type LockColumns } from '../lock-columns.ts'

/** The statements on locks. Each is one fixed text for one schema. */
export interface LockStatements {
  /** Grants a lock that nobody else is concerned with. */
  readonly acquire: PgStatement
  readonly extend: PgStatement
  readonly release: PgStatement
  readonly read: PgStatement
  /** Locks the rows there are, in the order of their keys, and reads them. */
  readonly lock: PgStatement
  readonly update: PgStatement
  /** Creates rows, and tells which of them nobody else has created. */
  readonly insert: PgStatement
  /** Deletes what is idle among the rows behind a key. */
  readonly forget: PgStatement
}

const ROW = `array_to_json(ARRAY[${LOCK_COLUMNS.map((column) => `o.${column}::text`).join(', ')}])::text`

const TEXT: readonly (keyof LockColumns)[] = ['token', 'owner', 'meta', 'state']

/** Rows as a table `a` of parameters, the first of them `$1`: keys, and then the columns. */
const SOURCE = `unnest($1::text[], ${LOCK_COLUMNS.map(
  (column, index) => `$${index + 2}::${TEXT.includes(column) ? 'text' : 'bigint'}[]`,
).join(', ')}) AS a(key, ${LOCK_COLUMNS.join(', ')})`

/** Writes the statements of one schema. Those that walk a table are not prepared: their plans suit its size of now. */
export function lockStatements(schema: string): LockStatements {
  const table = `"${schema}".onceward_locks`
  return {
    acquire: named(
      'lock_acquire',
      `SELECT f.outcome AS outcome, f.first::text AS fence, f.now::text AS now, f.left_ms::text AS remaining, f.kept AS kept
      FROM "${schema}".onceward_lock_acquire($1::integer, $2::text, $3::text, $4::bigint, $5::text, $6::text, $7::bigint) AS f`,
      ['outcome', 'fence', 'now', 'remaining', 'kept'],
    ),
    extend: named(
      'lock_extend',
      `SELECT f.asked AS asked, f.nonce AS nonce, f.outcome AS outcome
      FROM "${schema}".onceward_lock_extend($1::integer, $2::text[], $3::text[], $4::bigint[], $5::text[]) AS f`,
      ['asked', 'nonce', 'outcome'],
    ),
    release: named(
      'lock_release',
      `SELECT f.outcome AS outcome FROM "${schema}".onceward_lock_release($1::integer, $2::text, $3::text) AS f`,
      ['outcome'],
    ),
    read: plain(
      `SELECT o.key AS asked, (${NOW_MS})::text AS now, ${ROW} AS found FROM ${table} AS o WHERE o.key = ANY ($1::text[])`,
      ['asked', 'now', 'found'],
    ),
    // How long a lock is waited for is set within the statement: it counts until the end of the transaction, on whatever
    // connection of a pooler it runs.
    lock: plain(
      `WITH limits AS MATERIALIZED (
        SELECT set_config('lock_timeout', $1, true) AS lock_timeout, ${ENDS_IF_IDLE} AS idle),
      asked AS MATERIALIZED (
        SELECT a.key FROM limits CROSS JOIN unnest($2::text[]) AS a(key)
        WHERE limits.lock_timeout <> '' AND limits.idle <> ''),
      locked AS MATERIALIZED (
        SELECT o.* FROM ${table} AS o WHERE o.key IN (SELECT asked.key FROM asked) ORDER BY o.key FOR UPDATE)
      SELECT asked.key AS asked, (${NOW_MS})::text AS now, CASE WHEN o.key IS NOT NULL THEN ${ROW} END AS found
      FROM asked LEFT JOIN locked AS o ON o.key = asked.key`,
      ['asked', 'now', 'found'],
    ),
    update: plain(
      `UPDATE ${table} AS o SET ${LOCK_COLUMNS.map((column) => `${column} = a.${column}`).join(', ')}, touched_at = ${NOW_MS}
      FROM ${SOURCE} WHERE o.key = a.key`,
      [],
    ),
    insert: plain(
      `WITH created AS (
        INSERT INTO ${table} AS o (key, ${LOCK_COLUMNS.join(', ')}, touched_at)
        SELECT a.key, ${LOCK_COLUMNS.map((column) => `a.${column}`).join(', ')}, ${NOW_MS} FROM ${SOURCE}
        ON CONFLICT (key) DO NOTHING RETURNING o.key)
      SELECT json_agg(created.key)::text AS created FROM created`,
      ['created'],
    ),
    // A row that somebody works on is not waited for; one that was used meanwhile is not idle any more.
    forget: plain(
      `WITH looked AS MATERIALIZED (
        SELECT o.key FROM ${table} AS o WHERE o.key > $1::text ORDER BY o.key LIMIT $2::bigint),
      idle AS MATERIALIZED (
        SELECT o.key FROM ${table} AS o
        WHERE o.key IN (SELECT looked.key FROM looked)
          AND greatest(o.touched_at, o.until, o.keep_until, o.fence / 1000) < ${NOW_MS} - ${IDLE_ROWS_KEPT_MS}
        FOR UPDATE SKIP LOCKED),
      gone AS (DELETE FROM ${table} AS o USING idle WHERE o.key = idle.key)
      SELECT max(looked.key) AS last, count(*)::text AS count FROM looked`,
      ['last', 'count'],
    ),
  }
}
