import type { SqlStatement } from '../drivers/database/index.ts'
import { EXTERNAL_FIELDS, ID_FIELDS } from './change-statements.ts'
import { byDialect, type TaskTable } from './task-table.ts'
import { RUNNING } from './work-statements.ts'

/** The statements that look, and the one that forgets. */
export interface ReadStatements {
  readonly get: SqlStatement
  /** The tasks that have these external ids. */
  readonly find: SqlStatement
  /** The states of tasks. */
  readonly states: SqlStatement
  /** One page, by filters that are null where they do not matter. */
  readonly list: SqlStatement
  /** The same for one state, by the index of the states that are worth it. */
  readonly listState: SqlStatement
  readonly counts: SqlStatement
  /** Running ones whose lease is over. */
  readonly lapsedCount: SqlStatement
  /** Forgets tasks of one state that have ended so long ago. */
  readonly purge: SqlStatement
}

/** Makes them. */
export function readStatements(table: TaskTable): ReadStatements {
  const { rows, now, read, plain, prepared, parameter, columns, names } = table
  const ascii = (index: number) =>
    byDialect(table, {
      postgres: `$${index}::text`,
      mysql: 'CONVERT(? USING ascii)',
      sqlite: '?',
    })
  const name = (index: number) =>
    byDialect(table, {
      postgres: `$${index}::text`,
      mysql: 'CAST(CONVERT(? USING utf8mb4) AS BINARY)',
      sqlite: '?',
    })
  const id = (index: number) =>
    byDialect(table, { postgres: `$${index}::uuid`, mysql: 'CONVERT(? USING ascii)', sqlite: '?' })
  const page = (state: string) => `${state}
    AND (${name(2)} IS NULL OR o.user_id = ${name(2)}) AND (${name(3)} IS NULL OR o.action_type = ${name(3)})
    AND o.id < ${id(4)} ORDER BY o.id DESC LIMIT ${parameter(5, 'bigint')}`
  const due = `${now} - ${parameter(2, 'bigint')}`
  return {
    get: prepared('get', `SELECT ${columns} FROM ${table.table} AS o WHERE o.id = ${id(1)}`, names),
    find: plain(
      byDialect(table, {
        postgres: `SELECT ${columns} FROM ${rows(EXTERNAL_FIELDS)} JOIN ${table.table} AS o
          ON o.task_id = j.taskid AND o.user_id = j.userid AND o.action_type = j.action`,
        mysql: `SELECT ${columns} FROM ${rows(EXTERNAL_FIELDS)} STRAIGHT_JOIN ${table.table} AS o
          FORCE INDEX (onceward_tasks_once) ON o.task_id = CAST(j.taskid AS BINARY)
          AND o.user_id = CAST(j.userid AS BINARY) AND o.action_type = CAST(j.action AS BINARY)`,
        sqlite: `SELECT ${columns} FROM ${rows(EXTERNAL_FIELDS)} CROSS JOIN ${table.table} AS o
          ON o.task_id = j.taskid AND o.user_id = j.userid AND o.action_type = j.action`,
      }),
      names,
    ),
    states: plain(
      byDialect(table, {
        postgres: `SELECT o.id::text AS id, o.state AS state FROM ${rows(ID_FIELDS)}
          JOIN ${table.table} AS o ON o.id = j.id`,
        mysql: `SELECT o.id AS id, o.state AS state FROM ${rows(ID_FIELDS)}
          STRAIGHT_JOIN ${table.table} AS o FORCE INDEX (PRIMARY) ON o.id = j.id`,
        sqlite: `SELECT o.id AS id, o.state AS state FROM ${rows(ID_FIELDS)} CROSS JOIN ${table.table} AS o ON o.id = j.id`,
      }),
      ['id', 'state'],
    ),
    list: plain(
      `SELECT ${columns} FROM ${table.table} AS o WHERE ${page(`(${ascii(1)} IS NULL OR o.state = ${ascii(1)})`)}`,
      names,
    ),
    // A partial index is used where the statement repeats its condition.
    listState: plain(
      `SELECT ${columns} FROM ${table.table} AS o
        WHERE ${page(`(${ascii(1)} IS NULL OR o.state = ${ascii(1)}) AND o.state NOT IN ('pending', 'done')`)}`,
      names,
    ),
    counts: plain(
      `SELECT ${read('o.action_type', 'action')}, o.state AS state, ${read('COUNT(*)', 'count')},
        ${read("MIN(CASE WHEN o.state = 'pending' THEN o.run_at ELSE o.changed_at END)", 'oldest')}, ${read(now, 'now')}
        FROM ${table.table} AS o GROUP BY o.action_type, o.state`,
      ['action', 'state', 'count', 'oldest', 'now'],
    ),
    lapsedCount: plain(
      `SELECT ${read('COUNT(*)', 'count')} FROM ${table.table} AS o WHERE ${RUNNING} AND o.lease_until <= ${now}`,
      ['count'],
    ),
    purge: plain(
      byDialect(table, {
        postgres: `DELETE FROM ${table.table} WHERE id IN (SELECT o.id FROM ${table.table} AS o
          WHERE o.state = ${ascii(1)} AND o.finished_at IS NOT NULL AND o.finished_at <= ${due}
          ORDER BY o.finished_at LIMIT $3::bigint FOR UPDATE SKIP LOCKED)`,
        // A DELETE takes no hint: it would read, lock and sort all that may go, each time.
        mysql: `DELETE o FROM (SELECT p.id, p.state, p.finished_at FROM ${table.table} AS p FORCE INDEX (onceward_tasks_finished)
            WHERE p.state = ${ascii(1)} AND p.finished_at <= ${due} ORDER BY p.state, p.finished_at LIMIT ?) AS d
          STRAIGHT_JOIN ${table.table} AS o FORCE INDEX (PRIMARY) ON o.id = d.id
          WHERE o.state = d.state AND o.finished_at = d.finished_at`,
        sqlite: `DELETE FROM ${table.table} WHERE id IN (SELECT o.id FROM ${table.table} AS o
          WHERE o.state = ? AND o.finished_at IS NOT NULL AND o.finished_at <= ${due}
          ORDER BY o.finished_at LIMIT ?)`,
      }),
    ),
  }
}
