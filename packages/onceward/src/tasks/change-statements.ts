import type { JsonFields, SqlStatement } from '../drivers/database/index.ts'
import { byDialect, type TaskTable } from './task-table.ts'

export const INSERT_FIELDS: JsonFields = {
  id: 'id',
  taskid: 'name',
  userid: 'name',
  action: 'name',
  oncrash: 'word',
  policy: 'word',
  input: 'word',
  runat: 'number',
  delay: 'number',
  attempts: 'number',
}

export const EXTERNAL_FIELDS: JsonFields = {
  taskid: 'name',
  userid: 'name',
  action: 'name',
}

export const ID_FIELDS: JsonFields = { id: 'id' }

export const CHANGE_FIELDS: JsonFields = {
  id: 'id',
  fromstate: 'word',
  fromattempt: 'number',
  taskid: 'name',
  formerid: 'name',
  state: 'word',
  runat: 'number',
  attempts: 'number',
  cancel: 'word',
  changed: 'number',
  finished: 'number',
  result: 'word',
  problem: 'word',
  history: 'word',
}

/** The statements that create tasks, and that change them under row locks. */
export interface ChangeStatements {
  /** Writes tasks that are not there; answers which it has written, except on MySQL. */
  readonly insert: SqlStatement
  /** Which of these ids are there. MySQL only. */
  readonly inserted: SqlStatement
  /** Locks and reads the tasks of external ids, and the time. */
  readonly lockExternal: SqlStatement
  /** Locks and reads tasks by their ids, in one order, and the time. */
  readonly lock: SqlStatement
  /** Writes what may change, where state and attempt are what they were. */
  readonly change: SqlStatement
}

/** Makes them. Errors in the data would be warnings only on MySQL; there are none, because all of it was checked before. */
export function changeStatements(table: TaskTable): ChangeStatements {
  const { rows, now, read, plain, prepared } = table
  const target = `${table.table} (id, task_id, user_id, action_type, state, on_crash, policy, input, run_at, attempt,
    max_attempts, fence, lease_until, created_at, changed_at, history)`
  const values = (ms: string) => `j.id, j.taskid, j.userid, j.action, 'pending', j.oncrash, j.policy, j.input,
    COALESCE(j.runat, ${ms} + j.delay), 0, j.attempts, 0, 0, ${ms}, ${ms}, '[]'`
  const fresh = rows(INSERT_FIELDS)
  const created = `${read('id', 'id')}, ${read('created_at', 'created')}`
  const external = `o.task_id = j.taskid AND o.user_id = j.userid AND o.action_type = j.action`
  const bytes =
    'o.task_id = CAST(j.taskid AS BINARY) AND o.user_id = CAST(j.userid AS BINARY) AND o.action_type = CAST(j.action AS BINARY)'
  const found = `${table.columns}, ${read(now, 'now')}`
  const foundNames = [...table.names, 'now']
  const guard = `o.state = j.fromstate AND o.attempt = j.fromattempt`
  // MySQL evaluates from left to right; nothing here reads what was written before it.
  const assigned = [
    'task_id = j.taskid',
    'former_task_id = j.formerid',
    'run_at = j.runat',
    'max_attempts = j.attempts',
    'cancel = j.cancel',
    'changed_at = j.changed',
    'finished_at = j.finished',
    'result = j.result',
    'problem = j.problem',
    'history = j.history',
    'state = j.state',
  ]
  return {
    insert: prepared(
      'insert',
      byDialect(table, {
        postgres: `INSERT INTO ${target} SELECT ${values('t.ms')} FROM ${fresh} CROSS JOIN (SELECT ${now} AS ms) AS t
          ON CONFLICT (task_id, user_id, action_type) DO NOTHING RETURNING ${created}`,
        mysql: `INSERT INTO ${target} SELECT ${values(now)} FROM ${fresh}
          ON DUPLICATE KEY UPDATE id = ${table.table}.id`,
        sqlite: `INSERT INTO ${target} SELECT ${values(now)} FROM ${fresh} WHERE true
          ON CONFLICT (task_id, user_id, action_type) DO NOTHING RETURNING ${created}`,
      }),
      table.dialect === 'mysql' ? [] : ['id', 'created'],
    ),
    inserted: plain(
      `SELECT o.id AS id, o.created_at AS created FROM ${rows(ID_FIELDS)}
        STRAIGHT_JOIN ${table.table} AS o FORCE INDEX (PRIMARY) ON o.id = j.id`,
      ['id', 'created'],
    ),
    lockExternal: plain(
      byDialect(table, {
        postgres: `SELECT ${found} FROM ${rows(EXTERNAL_FIELDS)} JOIN ${table.table} AS o ON ${external}
          ORDER BY o.id FOR UPDATE OF o`,
        mysql: `SELECT ${found} FROM ${rows(EXTERNAL_FIELDS)}
          STRAIGHT_JOIN ${table.table} AS o FORCE INDEX (onceward_tasks_once) ON ${bytes} FOR UPDATE`,
        sqlite: `SELECT ${found} FROM ${rows(EXTERNAL_FIELDS)} CROSS JOIN ${table.table} AS o ON ${external}`,
      }),
      foundNames,
    ),
    lock: plain(
      byDialect(table, {
        postgres: `SELECT ${found} FROM ${rows(ID_FIELDS)} JOIN ${table.table} AS o ON o.id = j.id
          ORDER BY o.id FOR UPDATE OF o`,
        mysql: `SELECT ${found} FROM ${rows(ID_FIELDS)}
          STRAIGHT_JOIN ${table.table} AS o FORCE INDEX (PRIMARY) ON o.id = j.id FOR UPDATE`,
        sqlite: `SELECT ${found} FROM ${rows(ID_FIELDS)} CROSS JOIN ${table.table} AS o ON o.id = j.id`,
      }),
      foundNames,
    ),
    change: plain(
      byDialect(table, {
        postgres: `UPDATE ${table.table} AS o SET ${assigned.join(', ')} FROM ${rows(CHANGE_FIELDS)}
          WHERE o.id = j.id AND ${guard}`,
        mysql: `UPDATE ${rows(CHANGE_FIELDS)} STRAIGHT_JOIN ${table.table} AS o FORCE INDEX (PRIMARY) ON o.id = j.id
          SET ${assigned.map((one) => `o.${one}`).join(', ')} WHERE ${guard}`,
        sqlite: `UPDATE ${table.table} AS o SET ${assigned.join(', ')} FROM ${rows(CHANGE_FIELDS)}
          WHERE o.id = j.id AND ${guard}`,
      }),
    ),
  }
}
