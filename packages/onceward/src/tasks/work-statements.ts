import type { JsonFields, SqlStatement } from '../drivers/database/index.ts'
import { byDialect, type TaskTable } from './task-table.ts'

export const TAKE_FIELDS: JsonFields = {
  id: 'id',
  fence: 'number',
  owner: 'word',
  lease: 'number',
}

export const ACK_FIELDS: JsonFields = {
  id: 'id',
  owner: 'word',
  attempt: 'number',
  state: 'word',
  delay: 'number',
  attempts: 'number',
  finished: 'number',
  result: 'word',
  problem: 'word',
  history: 'word',
}

export const BEAT_FIELDS: JsonFields = {
  id: 'id',
  owner: 'word',
  attempt: 'number',
  lease: 'number',
}

/** Written so that SQLite uses its partial index: it has to read the condition again. */
export const RUNNING = "o.state = 'running' AND o.state NOT IN ('pending', 'done')"

/** The statements of workers. PostgreSQL has functions for them, which the migration explains. */
export interface WorkStatements {
  /** Takes due tasks and answers them as they are from now on. PostgreSQL only. */
  readonly claim: SqlStatement
  /** Locks due tasks of one action that nobody else is taking, and answers them as they are, with the time. */
  readonly due: SqlStatement
  /** Takes the tasks that `due` has locked. */
  readonly take: SqlStatement
  /** Ends attempts of one worker. Only PostgreSQL tells which; the others how many. */
  readonly settle: SqlStatement
  /** Both, `settle` first: answers what it has ended, with no state, and then what it gives. PostgreSQL only. */
  readonly turn: SqlStatement
  /** Moves the ends of leases. */
  readonly renew: SqlStatement
  /** Which attempts have a lease, and which are to be cancelled. Elsewhere than on PostgreSQL. */
  readonly renewed: SqlStatement
  /** Locks attempts whose lease is over, and answers them with the time. */
  readonly lapsed: SqlStatement
  /** Attempts that a worker has been given, as far as they have a lease: for one that lost the answer to a claim. */
  readonly mine: SqlStatement
}

/** Makes them. */
export function workStatements(table: TaskTable): WorkStatements {
  const { rows, now, read, plain, prepared, parameter } = table
  const found = `${table.columns}, ${read(now, 'now')}`
  const foundNames = [...table.names, 'now']
  const skipLocked = table.dialect === 'sqlite' ? '' : 'FOR UPDATE SKIP LOCKED'
  const byPrimary = `STRAIGHT_JOIN ${table.table} AS o FORCE INDEX (PRIMARY) ON o.id = j.id`
  const taken = [
    'attempt = o.attempt + 1',
    'fence = j.fence',
    'owner = j.owner',
    `lease_until = ${now} + j.lease`,
    `changed_at = ${now}`,
    "state = 'running'",
  ]
  const settled = [
    `run_at = CASE WHEN j.state = 'pending' THEN ${now} + j.delay ELSE o.run_at END`,
    'max_attempts = j.attempts',
    `changed_at = ${now}`,
    `finished_at = CASE WHEN j.finished = 1 THEN ${now} END`,
    'result = j.result',
    'problem = j.problem',
    'history = COALESCE(j.history, o.history)',
    'state = j.state',
  ]
  const own = `o.state = 'running' AND o.owner = j.owner AND o.attempt = j.attempt`
  const prefixed = (assigned: readonly string[]) => assigned.map((one) => `o.${one}`).join(', ')
  // A wish to cancel is in a history that the worker has not seen: then it is decided under the row lock.
  const settleGuard = `${own} AND (j.history IS NULL OR o.cancel IS NULL)`
  const ended = `${table.routine('onceward_task_settle')}($1::text::json)`
  const nothing = table.names.slice(1).map((name) => `NULL::text AS ${name}`)
  const given = (first: number) =>
    `SELECT ${table.columns} FROM ${table.routine('onceward_task_claim')}(
        $${first}::text::json, $${first + 1}::integer, $${first + 2}::text, $${first + 3}::bigint) AS o`
  return {
    claim: prepared('claim', given(1), table.names),
    turn: prepared(
      'turn',
      `SELECT settled::text AS id, ${nothing.join(', ')} FROM ${ended} UNION ALL ${given(2)}`,
      table.names,
    ),
    due: plain(
      `SELECT ${found} FROM ${table.table} AS o ${byDialect(table, { postgres: '', mysql: 'FORCE INDEX (onceward_tasks_due)', sqlite: '' })}
        WHERE o.state = 'pending' AND o.action_type = ${byDialect(table, { postgres: '$1::text', mysql: 'CAST(CONVERT(? USING utf8mb4) AS BINARY)', sqlite: '?' })}
          AND o.run_at <= ${now} ORDER BY o.run_at, o.id LIMIT ${parameter(2, 'bigint')} ${skipLocked}`,
      foundNames,
    ),
    take: plain(
      byDialect(table, {
        postgres: '',
        mysql: `UPDATE ${rows(TAKE_FIELDS)} ${byPrimary} SET ${prefixed(taken)} WHERE o.state = 'pending'`,
        sqlite: `UPDATE ${table.table} AS o SET ${taken.join(', ')} FROM ${rows(TAKE_FIELDS)}
          WHERE o.id = j.id AND o.state = 'pending'`,
      }),
    ),
    settle: prepared(
      'settle',
      byDialect(table, {
        postgres: `SELECT settled::text AS id FROM ${ended}`,
        mysql: `UPDATE ${rows(ACK_FIELDS)} ${byPrimary} SET ${prefixed(settled)} WHERE ${settleGuard}`,
        sqlite: `UPDATE ${table.table} AS o SET ${settled.join(', ')} FROM ${rows(ACK_FIELDS)}
          WHERE o.id = j.id AND ${settleGuard}`,
      }),
      table.dialect === 'postgres' ? ['id'] : [],
    ),
    renew: prepared(
      'renew',
      byDialect(table, {
        postgres: `SELECT kept::text AS id, cancelling AS cancel
          FROM ${table.routine('onceward_task_renew')}($1::text::json)`,
        mysql: `UPDATE ${rows(BEAT_FIELDS)} ${byPrimary}
          SET o.lease_until = GREATEST(o.lease_until, ${now} + j.lease) WHERE ${own} AND o.lease_until > ${now}`,
        sqlite: `UPDATE ${table.table} AS o SET lease_until = MAX(o.lease_until, ${now} + j.lease) FROM ${rows(BEAT_FIELDS)}
          WHERE o.id = j.id AND ${own} AND o.lease_until > ${now}`,
      }),
      table.dialect === 'postgres' ? ['id', 'cancel'] : [],
    ),
    renewed: plain(
      byDialect(table, {
        postgres: '',
        mysql: `SELECT o.id AS id, o.cancel AS cancel FROM ${rows(BEAT_FIELDS)} ${byPrimary}
          WHERE ${own} AND o.lease_until > ${now}`,
        sqlite: `SELECT o.id AS id, o.cancel AS cancel FROM ${rows(BEAT_FIELDS)}
          CROSS JOIN ${table.table} AS o ON o.id = j.id WHERE ${own} AND o.lease_until > ${now}`,
      }),
      ['id', 'cancel'],
    ),
    lapsed: plain(
      `SELECT ${found} FROM ${table.table} AS o WHERE ${RUNNING} AND o.lease_until <= ${now}
        ORDER BY o.id LIMIT ${parameter(1, 'bigint')} ${skipLocked}`,
      foundNames,
    ),
    mine: plain(
      `SELECT ${table.columns} FROM ${table.table} AS o
        WHERE ${RUNNING} AND o.owner = ${parameter(1, 'text')} AND o.lease_until > ${now}`,
      table.names,
    ),
  }
}
