import { ENDS_IF_IDLE, NOW_MS, named, type PgStatement, plain } from '../../drivers/pg/index.ts'
import { RECORD_COLUMNS } from '../../drivers/sql/index.ts'
import { RECORD, RECORD_PARAMETERS, RECORD_SOURCE, writtenColumn } from './record-rows.ts'

/** The statements of transitions. Each is one fixed text for one schema. */
export interface Statements {
  /** Grants fresh claims and reads what stands in the way of the others. */
  readonly claim: PgStatement
  /** Ends running operations with their outcomes. */
  readonly complete: PgStatement
  /** Moves the ends of leases. */
  readonly renew: PgStatement
  /** Reads records. */
  readonly read: PgStatement
  /** Locks the records there are, in the order of their digests, and reads them. */
  readonly lock: PgStatement
  /** As `lock`, for one record inside somebody's transaction: leaves its lock timeout as it was. */
  readonly lockIn: PgStatement
  readonly update: PgStatement
  /** Creates records, and tells which of them nobody else has created. */
  readonly insert: PgStatement
  readonly audit: PgStatement
}

/**
 * How long a statement waits for a lock that somebody's transaction holds is set within the statement itself: whatever
 * pooler and connection it is sent to, it counts until the end of the transaction, or until {@link RESTORE}.
 */
const limits = (parameter: number, more = '') => `limits AS MATERIALIZED (
  SELECT current_setting('lock_timeout') AS before, set_config('lock_timeout', $${parameter}, true) AS lock_timeout${more})`

/** Gives the rest of somebody's transaction its own lock timeout back. To be evaluated last. */
const RESTORE = `set_config('lock_timeout', (SELECT limits.before FROM limits), true) AS restored`

/** Writes the statements of one schema. Those that walk a table are not prepared: their plans suit its size of now. */
export function statementsOf(schema: string): Statements {
  const table = `"${schema}".onceward_operations`
  const lock = (own: boolean, columns: readonly string[]) =>
    plain(
      `WITH ${limits(1, own ? `, ${ENDS_IF_IDLE} AS idle` : '')}, asked AS MATERIALIZED (
        SELECT a.digest FROM limits CROSS JOIN unnest($2::text[]) AS a(digest)
        WHERE limits.lock_timeout <> ''${own ? " AND limits.idle <> ''" : ''}),
      locked AS MATERIALIZED (
        SELECT o.* FROM ${table} AS o WHERE o.digest IN (SELECT asked.digest FROM asked) ORDER BY o.digest FOR UPDATE)
      SELECT asked.digest AS asked, (${NOW_MS})::text AS now, CASE WHEN o.digest IS NOT NULL THEN ${RECORD} END AS found${own ? '' : `, ${RESTORE}`}
      FROM asked LEFT JOIN locked AS o ON o.digest = asked.digest`,
      columns,
    )
  return {
    claim: named(
      'claim',
      `SELECT f.asked AS asked, f.now::text AS now, f.granted::text AS granted, f.found AS found
      FROM "${schema}".onceward_claim($1::integer, $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::bigint[], $9::bigint[]) AS f`,
      ['asked', 'now', 'granted', 'found'],
    ),
    complete: named(
      'complete',
      `SELECT f.ended AS ended, f.contended::text AS contended
      FROM "${schema}".onceward_complete($1::integer, $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[],
        $7::integer[], $8::integer[], $9::bytea) AS f`,
      ['ended', 'contended'],
    ),
    renew: named(
      'renew',
      `SELECT f.renewed AS renewed
      FROM "${schema}".onceward_renew($1::integer, $2::text[], $3::text[], $4::bigint[], $5::bigint[]) AS f`,
      ['renewed'],
    ),
    read: plain(
      `SELECT o.digest AS asked, (${NOW_MS})::text AS now, ${RECORD} AS found FROM ${table} AS o
      WHERE o.digest = ANY ($1::text[])`,
      ['asked', 'now', 'found'],
    ),
    lock: lock(true, ['asked', 'now', 'found']),
    lockIn: lock(false, ['asked', 'now', 'found', 'restored']),
    update: plain(
      `UPDATE ${table} AS o SET ${RECORD_COLUMNS.filter((column) => column !== 'digest')
        .map((column) => `${column} = ${writtenColumn(column)}`)
        .join(', ')}
      FROM ${RECORD_SOURCE} WHERE o.digest = a.digest`,
      [],
    ),
    insert: named(
      'insert',
      `WITH ${limits(RECORD_PARAMETERS + 1)}, created AS (
        INSERT INTO ${table} AS o (${RECORD_COLUMNS.join(', ')})
        SELECT ${RECORD_COLUMNS.map(writtenColumn).join(', ')} FROM limits CROSS JOIN ${RECORD_SOURCE}
        WHERE limits.lock_timeout <> '' ON CONFLICT (digest) DO NOTHING RETURNING o.digest)
      SELECT (SELECT json_agg(created.digest) FROM created)::text AS created, ${RESTORE}`,
      ['created', 'restored'],
    ),
    audit: plain(
      `INSERT INTO "${schema}".onceward_audit (at, digest, entry)
      SELECT a.at, a.digest, a.entry FROM unnest($1::bigint[], $2::text[], $3::text[]) AS a(at, digest, entry)`,
      [],
    ),
  }
}
