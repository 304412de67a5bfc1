import { type Blame, type CallStory, grouped, only, type Seen } from './call-stories.ts'
import type { WorkEvent, WorkEventOf } from './work-events.ts'

/** The edges that the documentation declares; here no task is decided, redriven or replaced. */
const EDGES: Readonly<Record<string, readonly string[]>> = {
  '': ['pending'],
  pending: ['running', 'cancelled'],
  running: ['pending', 'done', 'failed', 'dead', 'held', 'cancelled'],
}

const NOTICED: Readonly<Record<string, string>> = { retried: 'pending' }

type Change = WorkEventOf<'change'>

/** I6: tasks move only along the declared edges, are created once, and only their own attempt ends them. */
export function checkTasks(history: readonly WorkEvent[], calls: readonly CallStory[], blame: Blame): Seen {
  const tasks = only(history, 'task')
  const effects = grouped(only(history, 'effect'), ({ item }) => item)
  const changes = grouped(only(history, 'change'), ({ id }) => id)
  const notices = only(history, 'notice')
  const known = new Set(tasks.map(({ id }) => id))

  checkCreation(history, calls, blame)
  for (const task of tasks) {
    const story = [...(changes.get(task.id) ?? [])].sort((a, b) => a.n - b.n)
    checkStory(task, story, blame)
    const happened = effects.get(task.id) ?? []
    if (task.onCrash === 'hold' && happened.length > 1)
      blame('I1', `task ${task.id} is held when it lapses, and has had ${happened.length} effects`)
    for (const [attempt, same] of grouped(happened, (effect) => String(effect.attempt))) {
      if (same.length > 1) blame('I1', `attempt ${attempt} of task ${task.id} has had ${same.length} effects`)
      const [{ fence = 0 } = {}] = same
      const given = story.find(({ to, toAttempt }) => to === 'running' && toAttempt === Number(attempt))
      if (given?.fence !== fence)
        blame(
          'I5',
          `attempt ${attempt} of task ${task.id} worked with fence ${fence}, given was ${given?.fence}`,
        )
    }
    if (task.state === 'done') {
      const by = /effect of ([\d.h]+)/.exec(task.result)?.[1]
      const own = happened.find(({ call }) => call === by)
      if (!own) blame('I2', `task ${task.id} is done with ${task.result}, which has not happened`)
      else if (own.attempt !== task.attempt)
        blame('I6', `task ${task.id} is done by attempt ${own.attempt}, while attempt ${task.attempt} had it`)
    }
  }
  for (const [id] of effects) if (!known.has(id)) blame('I1', `task ${id} was run, and does not exist`)
  checkNotices(notices, changes, blame)

  const events = tasks.flatMap((task) => task.history)
  return {
    tasks: tasks.length,
    effects: [...effects.values()].flat().length,
    lapsed: events.filter(isLapse).length,
    'stale acks': notices.filter(({ type }) => type === 'lost').length,
    rolledBack: calls.filter(({ answered }) => answered?.outcome === 'rolled-back').length,
    existing: calls.filter(({ answered }) => /existing|rejected/.test(answered?.outcome ?? '')).length,
    ...Object.fromEntries(
      [...grouped(tasks, ({ state }) => state)].map(([state, all]) => [`in the end ${state}`, all.length]),
    ),
  }
}

/** What was acknowledged exists once; what is written in a transaction exists with its row or not at all. */
function checkCreation(history: readonly WorkEvent[], calls: readonly CallStory[], blame: Blame): void {
  const byItem = grouped(only(history, 'task'), ({ item }) => item)
  const rows = only(history, 'row')
  for (const [call, same] of grouped(rows, (row) => row.call))
    if (same.length > 1) blame('I1', `the transaction of ${call} was committed ${same.length} times`)
  const written = new Set(rows.map(({ call }) => call))
  for (const [item, same] of byItem)
    if (same.length > 1) blame('I1', `external id ${item} has ${same.length} tasks`)
  for (const { asked, answered } of calls) {
    if (asked.about !== 'create') continue
    const [task] = byItem.get(asked.item) ?? []
    if (answered && answered.outcome !== 'rolled-back') {
      if (task === undefined) blame('I2', `${asked.call} was told that ${asked.item} is there, and it is not`)
      else if (task.id !== answered.id)
        blame('I3', `${asked.call} was told that ${asked.item} is ${answered.id}, and it is ${task.id}`)
      if (asked.tx && !written.has(asked.call))
        blame('I2', `the acknowledged row of ${asked.call} is not there`)
    }
    if (answered?.outcome === 'rolled-back' && written.has(asked.call))
      blame('I1', `the row of ${asked.call} is there, which was rolled back`)
    if (asked.tx && written.has(asked.call) && task === undefined)
      blame('I2', `the transaction of ${asked.call} left a row and no task`)
    if (asked.tx && asked.item.startsWith('own-') && !written.has(asked.call) && task)
      blame('I1', `the transaction of ${asked.call} left a task and no row`)
  }
}

/** What the trigger has seen follows the edges from the beginning to the row of the end. */
function checkStory(task: WorkEventOf<'task'>, story: readonly Change[], blame: Blame): void {
  let state = ''
  let attempt = 0
  let fence = 0
  for (const change of story) {
    const step = `task ${task.id}: ${change.from}@${change.fromAttempt} → ${change.to}@${change.toAttempt}`
    if (change.from !== state || change.fromAttempt !== attempt)
      blame('I6', `${step}, and it was ${state}@${attempt}`)
    if (!EDGES[change.from]?.includes(change.to)) blame('I6', `${step} is no edge`)
    const claims = change.to === 'running'
    if (change.toAttempt !== attempt + (claims ? 1 : 0)) blame('I6', `${step} after attempt ${attempt}`)
    if (claims && change.fence <= fence) blame('I5', `${step} was given fence ${change.fence} after ${fence}`)
    const told = task.history.find((entry) => entry.attempt === change.fromAttempt && isLapse(entry))
    if (change.from === 'running' && told && change.at < change.leaseUntil)
      blame('I12', `${step} counted as lapsed ${change.leaseUntil - change.at} ms before its lease was over`)
    state = change.to
    attempt = change.toAttempt
    fence = change.fence
  }
  if (state !== task.state || attempt !== task.attempt)
    blame('I6', `task ${task.id} is ${task.state}@${task.attempt}, and was last seen ${state}@${attempt}`)
}

/** What a worker was told of the end of its attempt has happened to this attempt. */
function checkNotices(
  notices: readonly WorkEventOf<'notice'>[],
  changes: ReadonlyMap<string, readonly Change[]>,
  blame: Blame,
): void {
  for (const { type, id, attempt } of notices) {
    if (type === 'lost' || type === 'not-replayable') continue
    const story = changes.get(id) ?? []
    const happened =
      type === 'claimed'
        ? story.some(({ to, toAttempt }) => to === 'running' && toAttempt === attempt)
        : story.some(
            ({ from, to, fromAttempt }) =>
              from === 'running' && to === (NOTICED[type] ?? type) && fromAttempt === attempt,
          )
    if (!happened)
      blame('I6', `the worker of attempt ${attempt} of task ${id} was told ${type}, which never was`)
  }
}

function isLapse({ event, note }: { readonly event: string; readonly note?: string }): boolean {
  return event === 'lapsed' || (event === 'held' && note?.startsWith('Lapsed') === true)
}
