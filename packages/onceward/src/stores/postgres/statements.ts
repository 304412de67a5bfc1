import type { PgStatement } from '../../drivers/pg/index.ts'
import { APPENDABLE_ATTEMPTS, RECORD_COLUMNS } from '../../drivers/sql/index.ts'
import {
  NOW_MS,
  payloadPiece,
  RECORD_LIST,
  RECORD_NAMES,
  RECORD_PARAMETERS,
  RECORD_SOURCE,
  writtenColumn,
} from './record-rows.ts'
import { statementName } from './statement-name.ts'

/** The statements that grant, end and prolong claims. Each is one fixed text for one schema. */
export interface ClaimStatements {
  /** Grants fresh claims and reads what stands in the way of the others. */
  readonly claim: PgStatement
  /** Ends running operations with their outcomes. */
  readonly complete: PgStatement
  /** As `complete`, for one record inside somebody's transaction. */
  readonly completeIn: PgStatement
  /** Moves the ends of leases. */
  readonly renew: PgStatement
  /** Reads records. */
  readonly read: PgStatement
  /** Locks the records there are, in the order of their digests, and reads them. */
  readonly lock: PgStatement
  /** As `lock`, for one record inside somebody's transaction: leaves its lock timeout as it was. */
  readonly lockIn: PgStatement
  /** As `claim` without the reading, for one record inside somebody's transaction. */
  readonly insertIn: PgStatement
  readonly update: PgStatement
  /** Creates records, and tells which of them nobody else has created. */
  readonly insert: PgStatement
  readonly audit: PgStatement
}

/**
 * How long a statement waits for a lock that somebody's transaction holds is set within the statement itself: whatever
 * pooler and connection it is sent to, it counts until the end of the transaction, or until {@link RESTORE}.
 */
const limits = (parameter: number) => `limits AS MATERIALIZED (
  SELECT current_setting('lock_timeout') AS before, set_config('lock_timeout', $${parameter}, true) AS lock_timeout)`
const LIMITS = limits(1)

/** Gives the rest of somebody's transaction its own lock timeout back. To be evaluated last. */
const RESTORE = `set_config('lock_timeout', (SELECT limits.before FROM limits), true) AS restored`

/** The time of one row, read once and after whatever the rows before it have waited for. */
const CLOCK = `LATERAL (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us
    WHERE a.digest IS NOT NULL OFFSET 0) AS clock`

const CLAIMS = `unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[])
    AS a(digest, scope, key, fingerprint, on_crash, owner, lease_ms, retention_ms)`

function freshRows(table: string): string {
  return `INSERT INTO ${table} AS o (${RECORD_COLUMNS.join(', ')})
  SELECT a.digest, a.scope, a.key, 'running', a.fingerprint, a.on_crash, a.on_crash = 'hold', a.owner,
    clock.us, 1, clock.us / 1000, clock.us / 1000, clock.us / 1000 + a.lease_ms, a.retention_ms, NULL, 0, 0, 0, NULL,
    '[[' || clock.us / 1000 || ',"claimed",1,' || clock.us || ']]', NULL
  FROM asked AS a CROSS JOIN ${CLOCK}
  ON CONFLICT (digest) DO NOTHING
  RETURNING o.digest, o.fence, o.created_at`
}

/** Writes the statements of one schema. */
export function claimStatements(schema: string): ClaimStatements {
  const table = `"${schema}".onceward_operations`
  const nothing = RECORD_NAMES.map((name) => `NULL::text AS ${name}`).join(', ')
  const asked = `asked AS MATERIALIZED (SELECT a.* FROM limits CROSS JOIN ${CLAIMS} WHERE limits.lock_timeout <> '')`
  const locking = (of: string) => `WITH ${LIMITS}, asked AS MATERIALIZED (
    SELECT a.digest FROM limits CROSS JOIN unnest($2::text[]) AS a(digest) WHERE limits.lock_timeout <> ''),
  locked AS MATERIALIZED (
    SELECT o.* FROM ${table} AS o WHERE o.digest IN (SELECT asked.digest FROM asked) ORDER BY o.digest FOR UPDATE)
  SELECT asked.digest AS asked, (${NOW_MS})::text AS now, ${of}${RECORD_LIST}
  FROM asked LEFT JOIN locked AS o ON o.digest = asked.digest`
  const complete = `UPDATE ${table} AS o SET state = 'done', holds = false, retention_ms = a.retention_ms,
      updated_at = clock.us / 1000, expires_at = clock.us / 1000 + a.retention_ms, detail = a.detail,
      payload = ${payloadPiece(10)}, history = left(o.history, -1)
        || ',[' || clock.us / 1000 || ',"' || a.event || '",' || o.attempt || ',' || o.fence || ']]'
    FROM limits CROSS JOIN
      unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::bigint[])
        AS a(digest, owner, fence, retention_ms, event, detail, start, length)
      CROSS JOIN ${CLOCK}
    WHERE limits.lock_timeout <> '' AND o.digest = a.digest AND o.state = 'running' AND o.owner = a.owner
      AND o.fence = a.fence AND o.attempt <= ${APPENDABLE_ATTEMPTS} AND o.detail IS NULL
    RETURNING o.digest AS ended, (o.duplicates > 0)::text AS contended`
  return {
    claim: statement(
      'claim',
      `WITH ${LIMITS}, ${asked}, fresh AS (${freshRows(table)})
      SELECT f.digest AS asked, f.created_at::text AS now, f.fence::text AS granted, ${nothing} FROM fresh AS f
      UNION ALL
      SELECT o.digest AS asked, (${NOW_MS})::text AS now, NULL AS granted, ${RECORD_LIST}
      FROM asked AS a JOIN ${table} AS o ON o.digest = a.digest
      WHERE a.digest NOT IN (SELECT fresh.digest FROM fresh)`,
      ['asked', 'now', 'granted', ...RECORD_NAMES],
    ),
    complete: statement('complete', `WITH ${LIMITS} ${complete}`, ['ended', 'contended']),
    completeIn: statement(
      'complete_in',
      `WITH ${LIMITS}, done AS (${complete}) SELECT (SELECT count(*) FROM done)::text AS ended, ${RESTORE}`,
      ['ended', 'restored'],
    ),
    renew: statement(
      'renew',
      `WITH ${LIMITS}
      UPDATE ${table} AS o SET lease_until = ${NOW_MS} + a.lease_ms
      FROM limits CROSS JOIN unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) AS a(digest, owner, fence, lease_ms)
      WHERE limits.lock_timeout <> '' AND o.digest = a.digest AND o.state = 'running' AND o.owner = a.owner
        AND o.fence = a.fence
      RETURNING o.digest AS renewed`,
      ['renewed'],
    ),
    read: statement(
      'read',
      `SELECT (${NOW_MS})::text AS now, ${RECORD_LIST} FROM ${table} AS o WHERE o.digest = ANY ($1::text[])`,
      ['now', ...RECORD_NAMES],
    ),
    lock: statement('lock', locking(''), ['asked', 'now', ...RECORD_NAMES]),
    lockIn: statement('lock_in', locking(`${RESTORE}, `), ['asked', 'now', 'restored', ...RECORD_NAMES]),
    insertIn: statement(
      'insert_in',
      `WITH ${LIMITS}, ${asked}, fresh AS (${freshRows(table)})
      SELECT f.fence::text AS granted, ${RESTORE} FROM asked AS a LEFT JOIN fresh AS f ON f.digest = a.digest`,
      ['granted', 'restored'],
    ),
    update: statement(
      'update',
      `UPDATE ${table} AS o SET ${RECORD_COLUMNS.filter((column) => column !== 'digest')
        .map((column) => `${column} = ${writtenColumn(column)}`)
        .join(', ')}
      FROM ${RECORD_SOURCE} WHERE o.digest = a.digest`,
      [],
    ),
    insert: statement(
      'insert',
      `WITH ${limits(RECORD_PARAMETERS + 1)}, created AS (
        INSERT INTO ${table} AS o (${RECORD_COLUMNS.join(', ')})
        SELECT ${RECORD_COLUMNS.map(writtenColumn).join(', ')} FROM limits CROSS JOIN ${RECORD_SOURCE}
        WHERE limits.lock_timeout <> '' ON CONFLICT (digest) DO NOTHING RETURNING o.digest)
      SELECT (SELECT json_agg(created.digest) FROM created)::text AS created, ${RESTORE}`,
      ['created', 'restored'],
    ),
    audit: statement(
      'audit',
      `INSERT INTO "${schema}".onceward_audit (at, digest, entry)
      SELECT a.at, a.digest, a.entry FROM unnest($1::bigint[], $2::text[], $3::text[]) AS a(at, digest, entry)`,
      [],
    ),
  }
}

function statement(word: string, text: string, columns: readonly string[]): PgStatement {
  return { text, columns, name: statementName(word, text) }
}
