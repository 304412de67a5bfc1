import { NOW_MS, type SqlStatement } from '../drivers/database/index.ts'
import { ENDS_IF_IDLE } from '../drivers/pg/index.ts'
import { EVENT_COLUMNS, eventColumns } from './event-columns.ts'
import { column, type Dialected, exactly, listRows, now, parameter, statement } from './sql-of.ts'

/**
 * The statements by which a relay takes events, in this order, in one transaction.
 *
 * ```
 *   gate      one relay at a time: what another has taken before is seen by the statements that follow
 *   promote   what has waited long enough, and what a relay has left, is ready again
 *   pick      the first ready events by seq, but none of a lane that a row stops
 *   take      leases them; from now on they stop their lanes
 * ```
 *
 * Of one lane, `pick` sees either nothing (some row stops it) or all that is committed and not published, of which it takes
 * the first by `seq`. So what is taken of a lane is always a beginning of what is left of it. An event that is committed late,
 * with a small `seq`, is an ordinary ready row whenever it comes: nothing is remembered that could have passed it by.
 */
export interface ClaimStatements {
  /** Absent on SQLite, where the write lock is the gate. */
  readonly gate: SqlStatement | undefined
  readonly promote: SqlStatement
  /** How many rows are looked at, how many taken at most; the topics before them, as JSON, where `byTopic`. */
  readonly pick: SqlStatement
  /** A list of `{ seq }`, owner and lease; in {@link inOrder}. */
  readonly take: SqlStatement
  /** MySQL answers no rows to an update: a list of `{ seq }`, then the owner. */
  readonly taken: SqlStatement | undefined
  /** Whether there is anything to take or to promote, read outside of a transaction. */
  readonly peek: SqlStatement
}

/** Writes them. */
export function claimStatements(database: Dialected, byTopic: boolean): ClaimStatements {
  const { dialect } = database
  const table = database.table('onceward_outbox')
  const time = now(database)
  const seqs = listRows(database, { seq: 'number' })
  const columns = [...EVENT_COLUMNS, 'now']
  const read = `${eventColumns(database, true)}, ${column(database, time, 'now')}`
  const lease = `state = 'leased', stops = o.lane, attempts = o.attempts + 1`
  return {
    gate: gateStatement(database),
    promote: statement(
      'promote',
      `UPDATE ${table} SET state = 'ready', stops = NULL, owner = NULL, until = NULL
  WHERE until <= ${time} AND state IN ('leased', 'waiting')`,
    ),
    pick: pickStatement(database, byTopic),
    take:
      dialect === 'mysql'
        ? statement(
            'take',
            `UPDATE ${seqs} STRAIGHT_JOIN ${table} AS o ON o.seq = j.seq
  SET ${lease}, o.owner = CONVERT(? USING ascii), o.until = ${NOW_MS.mysql} + CAST(? AS SIGNED) WHERE o.state = 'ready'`,
          )
        : statement(
            'take',
            `UPDATE ${table} AS o SET ${lease}, owner = ${parameter(database, 2, 'text')}, until = ${time} + ${parameter(database, 3, 'bigint')}
  WHERE o.seq IN (SELECT j.seq FROM ${seqs}) AND o.state = 'ready' RETURNING ${read}`,
            columns,
          ),
    taken:
      dialect === 'mysql'
        ? statement(
            'taken',
            `SELECT ${read} FROM ${seqs} STRAIGHT_JOIN ${table} AS o ON o.seq = j.seq WHERE o.owner = CONVERT(? USING ascii)`,
            columns,
          )
        : undefined,
    peek: statement(
      'peek',
      `SELECT ${column(database, '1', 'found')} FROM ${one(dialect)}
  WHERE EXISTS (SELECT 1 FROM ${table} WHERE state = 'ready')
    OR EXISTS (SELECT 1 FROM ${table} WHERE until <= ${time} AND state IN ('leased', 'waiting'))`,
      ['found'],
    ),
  }
}

/** A row to select from: MySQL wants one before WHERE. */
function one(dialect: Dialected['dialect']): string {
  return dialect === 'mysql' ? 'DUAL' : '(SELECT 1) AS one'
}

function gateStatement(database: Dialected): SqlStatement | undefined {
  const table = database.table('onceward_outbox_gate')
  switch (database.dialect) {
    case 'postgres':
      // A relay that is paused here would keep all others from taking anything.
      return statement(
        'gate',
        `SELECT id::text AS id, ${ENDS_IF_IDLE} AS ends FROM ${table} WHERE id = 1 FOR UPDATE`,
        ['id', 'ends'],
      )
    case 'mysql':
      return statement('gate', `SELECT id FROM ${table} WHERE id = 1 FOR UPDATE`, ['id'])
    default:
      return undefined
  }
}

function pickStatement(database: Dialected, byTopic: boolean): SqlStatement {
  const table = database.table('onceward_outbox')
  const before = byTopic ? 1 : 0
  const topics = `SELECT ${exactly(database, 'j.topic')} FROM ${listRows(database, { topic: 'text' })}`
  const first = `SELECT w.seq, w.lane FROM ${table} AS w WHERE w.state = 'ready'${byTopic ? ` AND ${exactly(database, 'w.topic')} IN (${topics})` : ''}
    ORDER BY w.seq LIMIT ${parameter(database, before + 1, 'bigint')}`
  const limit = parameter(database, before + 2, 'bigint')
  return statement(
    byTopic ? 'pick_topics' : 'pick',
    database.dialect === 'postgres'
      ? // Each lane is looked up once: of one that is much at work, the index holds many rows that are gone.
        `WITH first AS MATERIALIZED (${first}), busy AS (
    SELECT d.lane FROM (SELECT DISTINCT f.lane FROM first AS f WHERE f.lane IS NOT NULL) AS d
    WHERE EXISTS (SELECT 1 FROM ${table} AS b WHERE b.stops = d.lane))
  SELECT o.seq::text AS seq FROM first AS o WHERE o.lane IS NULL OR o.lane NOT IN (SELECT busy.lane FROM busy)
  ORDER BY o.seq LIMIT ${limit}`
      : // MariaDB finds no columns in the other form when it is prepared.
        `SELECT o.seq AS seq FROM (${first}) AS o
  WHERE NOT EXISTS (SELECT 1 FROM ${table} AS b WHERE b.stops = o.lane) ORDER BY o.seq LIMIT ${limit}`,
    ['seq'],
  )
}
