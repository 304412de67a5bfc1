import { backOffMs } from '../core/back-off.ts'
import type { Random } from '../core/clock.ts'
import { isOncewardError, OncewardError } from '../core/errors.ts'
import { jittered } from '../core/jittered.ts'
import {
  ask,
  type JsonFields,
  jsonRowsTextOf,
  type SqlDatabase,
  type SqlWork,
} from '../drivers/database/index.ts'
import type { SqlDialect } from '../drivers/sql/index.ts'
import {
  CHANGE_FIELDS,
  type ChangeStatements,
  changeStatements,
  EXTERNAL_FIELDS,
  ID_FIELDS,
  INSERT_FIELDS,
} from './change-statements.ts'
import { createdRecord, insertRow, type WantedTask } from './new-task.ts'
import { type ReadStatements, readStatements } from './read-statements.ts'
import { changeRow, type Row, readRecord, type TaskRecord, text, viewOf, whole } from './task-record.ts'
import { taskTable } from './task-table.ts'
import { conflict, lapse } from './task-transitions.ts'
import type { Backoff, Created } from './task-types.ts'
import { type WorkStatements, workStatements } from './work-statements.ts'

/** The statements on the tasks of one database, and what they need. */
export interface TaskLedger {
  readonly database: SqlDatabase
  readonly dialect: SqlDialect
  readonly random: Random
  readonly changes: ChangeStatements
  readonly work: WorkStatements
  readonly reads: ReadStatements
  /** Is told of rows that cannot be read and were passed over. */
  readonly trouble: (error: unknown) => void
}

/** Makes the statements of a database, once. */
export function taskLedger(
  database: SqlDatabase,
  random: Random,
  trouble: (error: unknown) => void = () => {},
): TaskLedger {
  const table = taskTable(database)
  return {
    database,
    dialect: database.dialect,
    random,
    changes: changeStatements(table),
    work: workStatements(table),
    reads: readStatements(table),
    trouble,
  }
}

/** The rows of a statement as its one parameter. */
export function rowsOf(
  ledger: TaskLedger,
  fields: JsonFields,
  rows: readonly Readonly<Record<string, unknown>>[],
): readonly [string] {
  return [jsonRowsTextOf(ledger.dialect, fields, rows)]
}

/** Reads the tasks of an answer. */
export function recordsOf({ database }: TaskLedger, rows: readonly Row[]): readonly TaskRecord[] {
  return rows.map((row) => readRecord(row, database.where))
}

/** The same without the rows that cannot be read: one of them must not keep a worker from the others. */
export function* legible<T>(ledger: TaskLedger, rows: readonly Row[], read: (row: Row) => T): Generator<T> {
  for (const row of rows) {
    try {
      yield read(row)
    } catch (error) {
      if (!isOncewardError(error, 'STORE_CORRUPT')) throw error
      ledger.trouble(error)
    }
  }
}

/** A task under its row lock, and the time. */
export interface Locked {
  readonly record: TaskRecord
  readonly now: number
}

/** Locks tasks. Those that are not there are left out. */
export function* lockTasks(ledger: TaskLedger, ids: readonly string[]): SqlWork<readonly Locked[]> {
  const asked = [...ids].sort().map((id) => ({ id }))
  const { rows } = yield* ask(ledger.changes.lock, rowsOf(ledger, ID_FIELDS, asked))
  return lockedOf(ledger, rows)
}

function lockedIn(row: Row, where: string): Locked {
  return { record: readRecord(row, where), now: whole(row, 'now') }
}

function lockedOf({ database }: TaskLedger, rows: readonly Row[]): readonly Locked[] {
  return rows.map((row) => lockedIn(row, database.where))
}

/** Writes changes of locked tasks. */
export function* writeChanges(
  ledger: TaskLedger,
  changes: readonly { readonly from: TaskRecord; readonly to: TaskRecord }[],
): SqlWork<void> {
  if (changes.length === 0) return
  const rows = changes.map(({ from, to }) => changeRow(from, to))
  const { affected } = yield* ask(ledger.changes.change, rowsOf(ledger, CHANGE_FIELDS, rows))
  // Under row locks each applies. Not every package tells how many did.
  if (affected > 0 && affected < changes.length) throw undone(ledger)
}

function undone({ database }: TaskLedger): OncewardError {
  return new OncewardError(
    'STORE_UNAVAILABLE',
    `${database.where}: a task was changed by somebody else while its row was locked; ask again`,
    { effect: 'none', retryAfterMs: 100 },
  )
}

/** How many rows one statement writes at most, and about how many bytes. */
const MAX_ROWS = 1000
const MAX_BYTES = 2 ** 21

/** How often external ids are looked at that others take and free meanwhile: each of many who replace one costs a round. */
const MAX_ROUNDS = 100

/** Creates tasks, all in one transaction. */
export function* createWork(ledger: TaskLedger, wanted: readonly WantedTask[]): SqlWork<readonly Created[]> {
  const answers = new Map<WantedTask, Created>()
  // Sorted by what they may collide in, and so is every part of them: two calls never wait for each other in turns.
  const sorted = wanted
    .map((one) => ({ one, key: externalKeyOf(one) }))
    .sort((a, b) => (a.key === b.key ? 0 : a.key < b.key ? -1 : 1))
    .map(({ one }) => one)
  for (const batch of batchesOf(sorted)) {
    let left: readonly WantedTask[] = batch
    for (let round = 0; left.length > 0; round++) {
      if (round >= MAX_ROUNDS) throw crowded(ledger)
      left = yield* createRound(ledger, left, answers)
    }
  }
  return wanted.map((one) => answers.get(one) as Created)
}

/** Inserts what is not there and decides about the rest; answers those that are to be tried again. */
function* createRound(
  ledger: TaskLedger,
  batch: readonly WantedTask[],
  answers: Map<WantedTask, Created>,
): SqlWork<readonly WantedTask[]> {
  const found = new Map<string, Locked>()
  // On MySQL those who insert what is there lock gaps too, and run into deadlocks with each other: it is looked first.
  if (ledger.dialect === 'mysql') yield* lookUp(ledger, batch, found)
  const fresh = batch.filter((one) => !found.has(externalKeyOf(one)))
  const created = fresh.length === 0 ? new Map<string, number>() : yield* insert(ledger, fresh)
  const refused: WantedTask[] = []
  for (const one of batch) {
    const at = created.get(one.id)
    if (at === undefined) refused.push(one)
    else answers.set(one, { outcome: 'created', task: viewOf(createdRecord(one, at)) })
  }
  if (refused.length === 0) return []
  yield* lookUp(
    ledger,
    refused.filter((one) => !found.has(externalKeyOf(one))),
    found,
  )
  const changes: { from: TaskRecord; to: TaskRecord }[] = []
  const again: WantedTask[] = []
  for (const one of refused) {
    const locked = found.get(externalKeyOf(one))
    const decided = locked && conflict(locked.record, one.order, locked.now)
    if (locked && decided?.outcome === 'replaced') {
      changes.push({ from: locked.record, to: decided.record })
      // The next round has the next one for the same id meet this one's task.
      found.delete(externalKeyOf(one))
      again.push(one)
    } else if (locked && decided) answers.set(one, { ...decided, task: viewOf(locked.record) } as Created)
    else again.push(one)
  }
  yield* writeChanges(ledger, changes)
  return again
}

/** Locks the tasks that have the external ids of these. */
function* lookUp(
  ledger: TaskLedger,
  wanted: readonly WantedTask[],
  found: Map<string, Locked>,
): SqlWork<void> {
  const asked = wanted
    .filter(({ order }) => order.taskId !== undefined)
    .map(({ order }) => externalRow(order.taskId as string, order.userId, order.actionType))
  if (asked.length === 0) return
  const { rows } = yield* ask(ledger.changes.lockExternal, rowsOf(ledger, EXTERNAL_FIELDS, asked))
  for (const locked of lockedOf(ledger, rows)) found.set(recordKeyOf(locked.record), locked)
}

/** By id, when it was created. */
function* insert(ledger: TaskLedger, batch: readonly WantedTask[]): SqlWork<ReadonlyMap<string, number>> {
  const { insert: statement, inserted } = ledger.changes
  const written = yield* ask(statement, rowsOf(ledger, INSERT_FIELDS, batch.map(insertRow)))
  const rows =
    ledger.dialect === 'mysql'
      ? (yield* ask(
          inserted,
          rowsOf(
            ledger,
            ID_FIELDS,
            batch.map(({ id }) => ({ id })),
          ),
        )).rows
      : written.rows
  return new Map(rows.map((row) => [text(row, 'id'), whole(row, 'created')]))
}

/** The row by which a task is found that has an external id. */
export function externalRow(
  taskId: string,
  userId: string,
  actionType: string,
): Readonly<Record<string, unknown>> {
  return { taskid: taskId, userid: userId, action: actionType }
}

function externalKeyOf({ order, id }: WantedTask): string {
  return keyOf(order.taskId ?? null, order.userId, order.taskId === undefined ? id : order.actionType)
}

function recordKeyOf({ taskId, userId, actionType }: TaskRecord): string {
  return keyOf(taskId, userId, actionType)
}

/** None of the parts holds a NUL. */
function keyOf(taskId: string | null, userId: string, actionType: string): string {
  return `${taskId ?? ''}\0${userId}\0${actionType}`
}

function* batchesOf(wanted: readonly WantedTask[]): Generator<readonly WantedTask[]> {
  let batch: WantedTask[] = []
  let bytes = 0
  for (const one of wanted) {
    const size = one.input?.length ?? 0
    if (batch.length >= MAX_ROWS || (batch.length > 0 && bytes + size > MAX_BYTES)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(one)
    bytes += size
  }
  if (batch.length > 0) yield batch
}

function crowded({ database }: TaskLedger): OncewardError {
  return new OncewardError(
    'STORE_UNAVAILABLE',
    `${database.where}: others create, replace or forget tasks of the same ids all the time; ask again`,
    { effect: 'none', retryAfterMs: 100 },
  )
}

/** Ends attempts whose lease is over; answers how many. */
export function* sweepWork(ledger: TaskLedger, limit: number): SqlWork<readonly TaskRecord[]> {
  const { rows } = yield* ask(ledger.work.lapsed, [limitOf(ledger, limit)])
  const lapsed = [...legible(ledger, rows, (row) => lockedIn(row, ledger.database.where))]
  const changes = lapsed.map(({ record, now }) => ({
    from: record,
    to: lapse(record, now, retryDelayMs(record.policy.backoff, record.attempt, ledger.random)),
  }))
  yield* writeChanges(ledger, changes)
  return changes.map(({ to }) => to)
}

/** How long to wait after so many attempts, in whole ms, with jitter. */
export function retryDelayMs(backoff: Backoff | undefined, attempts: number, random: Random): number {
  const { initialMs = 1000, maxMs = 300_000, factor = 2 } = backoff ?? {}
  const pauseMs = backOffMs({ initialMs, maxMs, factor }, attempts - 1)
  return Math.round(Math.min(maxMs, jittered(random, pauseMs, 0.2)))
}

/** A limit as drivers take it. */
export function limitOf({ dialect }: TaskLedger, limit: number): number | string {
  return dialect === 'sqlite' ? limit : String(limit)
}
