import { ask, type SqlWork } from '../drivers/database/index.ts'
import { legible, limitOf, lockTasks, rowsOf, type TaskLedger, writeChanges } from './task-ledger.ts'
import { type Row, readRecord, type TaskRecord, text, whole } from './task-record.ts'
import { type Ending, isFinished, settle } from './task-transitions.ts'
import { ACK_FIELDS, BEAT_FIELDS, TAKE_FIELDS } from './work-statements.ts'

/** What a worker asks for. */
export interface ClaimAsk {
  /** In the order in which they are looked at. */
  readonly actions: readonly string[]
  readonly most: number
  readonly owner: string
  readonly leaseMs: number
}

/** Takes due tasks. */
export async function claimTasks(ledger: TaskLedger, asked: ClaimAsk): Promise<readonly TaskRecord[]> {
  const { database, work } = ledger
  if (database.dialect !== 'postgres') return database.transaction(() => claimWork(ledger, asked))
  const { rows } = await database.write({ statement: work.claim, values: claimValues(asked) })
  return inDueOrder(ledger, rows)
}

function claimValues({ actions, most, owner, leaseMs }: ClaimAsk): readonly string[] {
  return [JSON.stringify(actions), String(most), owner, String(leaseMs)]
}

/** What was claimed, in the order in which it was due. */
function inDueOrder(ledger: TaskLedger, rows: readonly Row[]): readonly TaskRecord[] {
  const records = [...legible(ledger, rows, (row) => readRecord(row, ledger.database.where))]
  return records.sort((a, b) => a.runAt - b.runAt || (a.id < b.id ? -1 : 1))
}

function* claimWork(ledger: TaskLedger, asked: ClaimAsk): SqlWork<readonly TaskRecord[]> {
  const { actions, most, owner, leaseMs } = asked
  const taken: TaskRecord[] = []
  for (const action of actions) {
    const left = most - taken.length
    if (left === 0) break
    const { rows } = yield* ask(ledger.work.due, [action, limitOf(ledger, left)])
    const due = legible(ledger, rows, (row) => ({
      found: readRecord(row, ledger.database.where),
      now: whole(row, 'now'),
    }))
    for (const { found, now } of due) {
      taken.push({
        ...found,
        state: 'running',
        attempt: found.attempt + 1,
        fence: Math.max(found.fence + 1, now * 1000),
        owner,
        leaseUntil: now + leaseMs,
        changedAt: now,
      })
    }
  }
  if (taken.length === 0) return taken
  const sorted = [...taken].sort((a, b) => (a.id < b.id ? -1 : 1))
  const rows = sorted.map(({ id, fence }) => ({ id, fence, owner, lease: leaseMs }))
  yield* ask(ledger.work.take, rowsOf(ledger, TAKE_FIELDS, rows))
  return taken
}

/** Tasks that a worker was given without having heard of it. */
export async function strayTasks(ledger: TaskLedger, owner: string): Promise<readonly TaskRecord[]> {
  const { rows } = await ledger.database.read({ statement: ledger.work.mine, values: [owner] })
  return [...legible(ledger, rows, (row) => readRecord(row, ledger.database.where))]
}

/** The end of an attempt, as its worker asks for it. `record` is the task as it was given. */
export interface Ack {
  readonly record: TaskRecord
  readonly ending: Ending
  /** The time on the clock of the database, as far as the worker knows it. */
  readonly now: number
}

/** What became of it: ended, as `state`, or somebody else's by now. */
export type Acked = { readonly record: TaskRecord } | 'lost'

/**
 * Ends attempts, in one statement where nothing came in between. Repeating it is harmless: what was ended by the same attempt
 * is told as it is.
 */
export async function settleTasks(
  ledger: TaskLedger,
  acks: readonly Ack[],
): Promise<ReadonlyMap<string, Acked>> {
  const { database, work } = ledger
  const wanted = wantedOf(acks)
  const answer = await database.write({ statement: work.settle, values: settleValues(ledger, wanted) })
  const all = database.dialect !== 'postgres' && answer.affected === acks.length
  return settledOf(ledger, wanted, all ? 'all' : answer.rows)
}

/** What a worker hears when it has ended attempts and taken tasks at once. */
export interface Turn {
  readonly claimed: readonly TaskRecord[]
  settled(): Promise<ReadonlyMap<string, Acked>>
}

/** Does what `settleTasks` and then what `claimTasks` does, in one statement: both or nothing. PostgreSQL only. */
export async function settleAndClaim(
  ledger: TaskLedger,
  acks: readonly Ack[],
  asked: ClaimAsk,
): Promise<Turn> {
  const wanted = wantedOf(acks)
  const values = [...settleValues(ledger, wanted), ...claimValues(asked)]
  const { rows } = await ledger.database.write({ statement: ledger.work.turn, values })
  const ended = rows.findIndex((row) => row['state'] !== null)
  const split = ended === -1 ? rows.length : ended
  return {
    claimed: inDueOrder(ledger, rows.slice(split)),
    settled: () => settledOf(ledger, wanted, rows.slice(0, split)),
  }
}

interface WantedEnd {
  readonly ack: Ack
  readonly to: TaskRecord
}

/** Sorted by id, as rows are locked. */
function wantedOf(acks: readonly Ack[]): readonly WantedEnd[] {
  return acks
    .map((ack) => ({ ack, to: settle(ack.record, ack.ending, ack.now) }))
    .sort((a, b) => (a.to.id < b.to.id ? -1 : 1))
}

function settleValues(ledger: TaskLedger, wanted: readonly WantedEnd[]): readonly [string] {
  return rowsOf(
    ledger,
    ACK_FIELDS,
    wanted.map(({ ack, to }) => ackRow(ack, to)),
  )
}

/** What became of each: those that the statement has not ended are looked at under their row locks. */
async function settledOf(
  ledger: TaskLedger,
  wanted: readonly WantedEnd[],
  ended: readonly Row[] | 'all',
): Promise<ReadonlyMap<string, Acked>> {
  const told = new Set(ended === 'all' ? [] : ended.map((row) => text(row, 'id')))
  const settled = new Map<string, Acked>()
  const left: Ack[] = []
  for (const { ack, to } of wanted) {
    if (ended === 'all' || told.has(to.id)) settled.set(to.id, { record: to })
    else left.push(ack)
  }
  if (left.length === 0) return settled
  const rest = await ledger.database.transaction(() => settleWork(ledger, left))
  for (const [id, acked] of rest) settled.set(id, acked)
  return settled
}

function ackRow({ record, ending, now }: Ack, to: TaskRecord) {
  return {
    id: record.id,
    owner: record.owner,
    attempt: record.attempt,
    state: to.state,
    delay: to.state === 'pending' ? to.runAt - now : 0,
    attempts: to.maxAttempts,
    finished: isFinished(to.state) ? 1 : 0,
    // What is left out is null in all databases.
    result: to.result ?? undefined,
    problem: to.problem === null ? undefined : JSON.stringify(to.problem),
    history: ending.kind === 'done' ? undefined : JSON.stringify(to.history),
  }
}

/** Decides under row locks about attempts that were lost, are to be cancelled, or have been ended already. */
function* settleWork(ledger: TaskLedger, acks: readonly Ack[]): SqlWork<ReadonlyMap<string, Acked>> {
  const locked = yield* lockTasks(
    ledger,
    acks.map(({ record }) => record.id),
  )
  const found = new Map(locked.map((one) => [one.record.id, one]))
  const settled = new Map<string, Acked>()
  const changes: { from: TaskRecord; to: TaskRecord }[] = []
  for (const { record, ending } of acks) {
    const now = found.get(record.id)
    const isOurs = now && now.record.owner === record.owner && now.record.attempt === record.attempt
    if (!now || !isOurs) settled.set(record.id, 'lost')
    else if (now.record.state === 'running') {
      const to = settle(now.record, ending, now.now)
      changes.push({ from: now.record, to })
      settled.set(record.id, { record: to })
    } else if (isEndOf(ending, now.record)) settled.set(record.id, { record: now.record })
    // Its lease has lapsed, and what became of the attempt was decided without it.
    else settled.set(record.id, 'lost')
  }
  yield* writeChanges(ledger, changes)
  return settled
}

/** Whether this is what the same ack has made of the task before: its answer was lost. */
function isEndOf(ending: Ending, { state, problem, history }: TaskRecord): boolean {
  const latest = history.at(-1)?.event
  switch (ending.kind) {
    case 'done':
      return state === 'done' && problem === null && latest !== 'resolved'
    case 'not-replayable':
      return state === 'done' && problem !== null
    case 'failed':
      return state === 'failed' && latest === 'failed'
    case 'hold':
      return state === 'held' && latest === 'held' && !isLapse(problem)
    case 'thrown':
      return latest === 'retried' || ((latest === 'dead' || latest === 'cancelled') && !isLapse(problem))
    case 'released':
      return latest === 'released'
  }
}

function isLapse(problem: TaskRecord['problem']): boolean {
  return problem !== null && 'failure' in problem && problem.failure.name === 'Lapsed'
}

/** A lease to move. */
export interface Beat {
  readonly id: string
  readonly owner: string
  readonly attempt: number
  readonly lease: number
}

/** Moves the ends of leases. Answers by id those it has moved, with why they are to be cancelled, if they are. */
export async function renewTasks(
  ledger: TaskLedger,
  given: readonly Beat[],
): Promise<ReadonlyMap<string, string | null>> {
  const { database, work } = ledger
  const beats = [...given].sort((a, b) => (a.id < b.id ? -1 : 1))
  const values = rowsOf(
    ledger,
    BEAT_FIELDS,
    beats.map((beat) => ({ ...beat })),
  )
  const rows =
    database.dialect === 'postgres'
      ? (await database.write({ statement: work.renew, values })).rows
      : await database.transaction(function* () {
          yield* ask(work.renew, values)
          return (yield* ask(work.renewed, values)).rows
        })
  return new Map(
    rows.map((row) => [
      text(row, 'id'),
      row['cancel'] === null ? null : (JSON.parse(text(row, 'cancel')) as string),
    ]),
  )
}
