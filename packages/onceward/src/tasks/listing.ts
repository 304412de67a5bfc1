import { checkedLimit } from '../core/catalog-query.ts'
import { refuseUnknown, written } from '../core/known-fields.ts'
import { isUuid } from '../core/uuid.ts'
import { checkName, oneOf } from './new-task.ts'
import { limitOf, recordsOf, type TaskLedger } from './task-ledger.ts'
import { stateOf, text, viewOf, whole } from './task-record.ts'
import { TASK_EDGES } from './task-transitions.ts'
import type { TaskCount, TaskPage, TaskQuery } from './task-types.ts'
import type { TaskRetention } from './tasks-api.ts'

/** After every id. */
const LAST = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/** Reads one page. @throws `TypeError` for a query that makes no sense. */
export async function listTasks(ledger: TaskLedger, query: TaskQuery): Promise<TaskPage> {
  refuseUnknown('list', query, ['state', 'userId', 'actionType', 'limit', 'after'])
  const { state, userId, actionType, after } = query
  oneOf('state', state, Object.keys(TASK_EDGES))
  if (userId !== undefined) checkName('userId', userId)
  if (actionType !== undefined) checkName('actionType', actionType)
  if (after !== undefined && !isUuid(after)) {
    throw new TypeError(`after is not what a page has handed out: ${written(after)}; start without one`)
  }
  const limit = checkedLimit(query.limit)
  const isRare = state !== undefined && state !== 'pending' && state !== 'done'
  const filters = [state ?? null, userId ?? null, actionType ?? null]
  const { rows } = await ledger.database.read({
    statement: isRare ? ledger.reads.listState : ledger.reads.list,
    values: [
      // Where parameters have no numbers, each is named twice.
      ...(ledger.dialect === 'postgres' ? filters : filters.flatMap((filter) => [filter, filter])),
      after ?? LAST,
      limitOf(ledger, limit + 1),
    ],
  })
  const tasks = recordsOf(ledger, rows).map(viewOf)
  const last = tasks[limit - 1]
  return tasks.length > limit && last ? { tasks: tasks.slice(0, limit), after: last.id } : { tasks }
}

/** Counts tasks by action and state, and names the actions that have due ones. */
export async function taskCounts(
  ledger: TaskLedger,
): Promise<{ readonly counts: readonly TaskCount[]; readonly due: readonly string[] }> {
  const { rows } = await ledger.database.read({ statement: ledger.reads.counts, values: [] })
  const counts = rows.map((row) => ({
    actionType: text(row, 'action'),
    state: stateOf(text(row, 'state')),
    count: whole(row, 'count'),
    oldestMs: Math.max(0, whole(row, 'now') - whole(row, 'oldest')),
    isDue: whole(row, 'oldest') <= whole(row, 'now'),
  }))
  return {
    counts: counts.map(({ isDue: _, ...count }) => count),
    due: counts
      .filter(({ state, isDue }) => state === 'pending' && isDue)
      .map(({ actionType }) => actionType),
  }
}

/** How many rows one statement forgets. */
const PURGED_AT_ONCE = 500

/** Forgets finished tasks whose retention is over, in batches. */
export async function purgeTasks(
  ledger: TaskLedger,
  retention: Required<TaskRetention>,
  limit: number,
): Promise<number> {
  const { doneMs, failedMs, cancelledMs, deadMs } = retention
  const states = [
    ['done', doneMs],
    ['cancelled', cancelledMs],
    ['failed', failedMs],
    ['dead', deadMs],
  ] as const
  let purged = 0
  for (const [state, ms] of states) {
    if (ms === Infinity) continue
    for (;;) {
      const most = Math.min(PURGED_AT_ONCE, limit - purged)
      if (most === 0) return purged
      const { affected } = await ledger.database.write({
        statement: ledger.reads.purge,
        values: [state, Math.round(ms), limitOf(ledger, most)],
      })
      purged += affected
      if (affected < most) break
    }
  }
  return purged
}
