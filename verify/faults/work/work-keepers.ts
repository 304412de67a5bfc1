import { monotonicMs } from '../harness/event-log.ts'
import type { TrialKind } from '../harness/trial-kind.ts'
import { paceNow } from '../pace.ts'
import { GUARDS } from './guard-keeper.ts'
import { insisting, lookAtRows, word } from './look-at-rows.ts'
import { holderOf, TOKENS } from './token-lane.ts'
import type { TaskRow, WorkHistory } from './work-events.ts'
import type { LaneName, WorkPlan } from './work-plan.ts'
import { within } from './work-room.ts'
import { TASK_TEXT } from './work-tables.ts'
import type { WorkTrials } from './work-trials.ts'

/** What the driver does for a lane. */
export type LaneKeeper = Pick<TrialKind<WorkTrials>, 'prepare' | 'settle' | 'look'>

/** How long everything may take to come to rest: a few leases, and much time for the machine, the more the busier it is. */
const restMs = ({ leaseMs }: WorkPlan) => leaseMs * 6 + 15_000 * paceNow()

const tokens: LaneKeeper = {
  async prepare({ library, openStore }, { trial }) {
    const opened = await openStore()
    try {
      await opened.store.migrate?.()
      const once = library.createOnce({ store: opened.store, scope: trial, retentionMs: 3_600_000 })
      const made = library.createTokens({ once, ttlMs: 3_600_000 })
      const all: string[] = []
      for (let nth = 0; nth < TOKENS; nth++) {
        all.push(await made.issue({ scope: holderOf(trial), payload: { nth } }))
      }
      await once.close()
      return all
    } finally {
      await opened.close()
    }
  },
  // Their workers ask for each token until it is settled.
  look: async () => {},
}

const tasks: LaneKeeper = {
  async settle({ stage: { main }, plan, log }) {
    await rests(plan, log, 'tasks that are pending or running', async () => {
      const action = TASK_TEXT[main.kind]('action_type')
      const [row] = await main.query(
        `SELECT COUNT(*) AS n FROM onceward_tasks WHERE ${action} = ? AND state IN ('pending', 'running')`,
        [plan.trial],
      )
      return Number(row?.['n'])
    })
  },
  async look({ stage: { main }, plan: { trial }, log }) {
    const text = TASK_TEXT[main.kind]
    const columns = ['id', 'task_id', 'state', 'on_crash', 'result', 'history']
    const found = await insisting(() =>
      main.query(
        `SELECT ${columns.map((name) => `${text(name)} AS ${name}`).join(', ')}, attempt
          FROM onceward_tasks WHERE ${text('action_type')} = ?`,
        [trial],
      ),
    )
    for (const row of found) {
      log.note({
        k: 'task',
        id: word(row, 'id'),
        item: word(row, 'task_id'),
        state: word(row, 'state'),
        attempt: Number(row['attempt']),
        onCrash: word(row, 'on_crash'),
        result: word(row, 'result'),
        history: JSON.parse(word(row, 'history')) as TaskRow['history'],
      })
    }
    const changes = await insisting(() =>
      main.query('SELECT * FROM work_changes WHERE action = ? ORDER BY n', [trial]),
    )
    for (const row of changes) {
      log.note({
        k: 'change',
        n: Number(row['n']),
        id: word(row, 'task'),
        from: word(row, 'from_state'),
        to: word(row, 'to_state'),
        fromAttempt: Number(row['from_attempt']),
        toAttempt: Number(row['to_attempt']),
        fence: Number(row['fence']),
        leaseUntil: Number(row['lease_until']),
        at: Number(row['at_ms']),
      })
    }
    await lookAtRows(main, trial, log)
  },
}

const messages: LaneKeeper = {
  async settle({ stage: { main }, plan, sink, log }) {
    await rests(plan, log, 'events in the outbox', async () => {
      const [row] = await main.query('SELECT COUNT(*) AS n FROM onceward_outbox WHERE topic = ?', [
        plan.trial,
      ])
      return Number(row?.['n'])
    })
    await rests(plan, log, 'messages that nobody has taken', async () => sink.unacknowledged(plan.trial))
  },
  async look({ stage: { main, other }, plan: { trial }, log }) {
    await lookAtRows(main, trial, log)
    const ends = await insisting(() =>
      main.query('SELECT event, attempt, at_ms FROM work_ends WHERE topic = ?', [trial]),
    )
    for (const row of ends) {
      const [attempt, at] = [Number(row['attempt']), Number(row['at_ms'])]
      log.note({ k: 'ended', id: word(row, 'event'), attempt, at })
    }
    const found = await insisting(() =>
      other.query('SELECT message, call_id FROM work_effects WHERE trial = ?', [trial]),
    )
    for (const row of found) {
      log.note({ k: 'inbox-row', message: word(row, 'message'), call: word(row, 'call_id') })
    }
  },
}

/** What the driver does for each lane. */
export const KEEPERS: Readonly<Record<LaneName, LaneKeeper>> = {
  tokens,
  tasks,
  messages,
  // Their workers look at each item until they are answered.
  dedupe: { look: async () => {} },
  guards: GUARDS,
}

async function rests(
  plan: WorkPlan,
  log: WorkHistory,
  what: string,
  count: () => Promise<number>,
): Promise<void> {
  const since = monotonicMs()
  let left = Number.NaN
  const rested = await within(restMs(plan), async () => {
    left = await count()
    return left === 0
  })
  if (rested) log.note({ k: 'settled', ms: Math.round(monotonicMs() - since) })
  else log.note({ k: 'unsettled', what: `${left} ${what}` })
}
