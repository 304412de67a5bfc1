import { after } from '../core/after.ts'
import { findingsOf } from '../core/findings-of.ts'
import { refuseUnknown, wholeNumber } from '../core/known-fields.ts'
import { tell } from '../core/observer.ts'
import { isUuid, uuids } from '../core/uuid.ts'
import { type DatabaseOptions, openDatabase } from '../drivers/database/index.ts'
import { EXTERNAL_FIELDS } from './change-statements.ts'
import { cancelTask, redriveTask, resolveTask } from './decisions.ts'
import { listTasks, purgeTasks, taskCounts } from './listing.ts'
import { checkName, wantedTask } from './new-task.ts'
import { rareTell } from './rare-tell.ts'
import { resultWatch, stoppedWaiting } from './result-watch.ts'
import { doctorFindings } from './task-doctor.ts'
import { createWork, externalRow, recordsOf, rowsOf, sweepWork, taskLedger } from './task-ledger.ts'
import { decoded, readRecord, type TaskRecord, viewOf } from './task-record.ts'
import type { Created, NewTask, TaskEventNotice, TaskFailure, TaskResult } from './task-types.ts'
import type { CreateOptions, Tasks, TasksOptions } from './tasks-api.ts'
import { tasksSettings } from './tasks-settings.ts'
import { startWorker } from './worker.ts'
import { workerSettings } from './worker-settings.ts'
import type { TaskWorker } from './worker-types.ts'

/** The most tasks of one `create`. */
const MAX_CREATED = 10_000

/**
 * Makes a ledger of tasks in a database: each is done by one worker at a time, and what a worker brings that has lost its lease
 * is refused.
 *
 * Guarantee: a task is created at most once for its external id, user and action, in the caller's transaction if it likes; an
 * attempt is ended by its own worker or not at all; a task that lapsed while it was running is held, never run again in silence.
 * Limit: a handler's effect outside of the database can still happen without its end being stored: then the task is held, or with
 * `onCrash: 'rerun'` run again. Give `run.fence` to resources that can refuse smaller ones, and `task.id` to those that
 * deduplicate.
 *
 * @throws `TypeError` for options that make no sense, at once.
 * @example
 * const tasks = createTasks({ db: pool })
 * await tasks.create({ userId: 'u1', actionType: 'send-invoice', taskId: 'invoice-7', input: { invoice: 7 } })
 * const worker = tasks.worker({ handlers: { 'send-invoice': async (task) => charge(task.input) } })
 * await worker.stop()
 */
export function createTasks(options: TasksOptions): Tasks {
  const settings = tasksSettings(options)
  const {
    db,
    retention: _retention,
    ids: _ids,
    maxInputBytes: _in,
    maxResultBytes: _out,
    observer,
    ...rest
  } = options
  const database = openDatabase(db, rest satisfies DatabaseOptions, 'createTasks')
  const { clock, timers, random, maxInputBytes, maxResultBytes } = settings
  const emit = (event: TaskEventNotice) => tell(observer, event)
  const ledger = taskLedger(database, random, (error) =>
    emit({ type: 'error', id: '', actionType: '', error }),
  )
  const newId = uuids({ clock, random }, settings.ids)
  const work = database.hints('onceward_tasks')
  const cancels = database.hints('onceward_task_cancels')
  const results = database.hints('onceward_task_results')
  const tellWork = rareTell(work, { clock, timers })
  const watch = resultWatch({ ledger, clock, timers, random, results })
  const workers = new Set<{ readonly worker: TaskWorker; readonly types: readonly string[] }>()
  const counters = { claimed: 0, done: 0, retried: 0, failed: 0, dead: 0, held: 0, cancelled: 0, lost: 0 }
  const wantedOf = (orders: readonly NewTask[], options: CreateOptions) => {
    // A transaction under another name must not be left out in silence.
    refuseUnknown('the options of create', options, ['tx'])
    if (orders.length > MAX_CREATED) {
      throw new TypeError(`${orders.length} tasks at once are too many; create at most ${MAX_CREATED}`)
    }
    return orders.map((order) => wantedTask(order, newId(), maxInputBytes))
  }
  const createNow = async (
    orders: readonly NewTask[],
    options: CreateOptions,
  ): Promise<readonly Created[]> => {
    const wanted = wantedOf(orders, options)
    if (wanted.length === 0) return []
    const created = await database.transaction(() => createWork(ledger, wanted))
    tellWork()
    const replaced = created.some(
      ({ outcome }, index) => outcome === 'created' && orders[index]?.ifUnfinished === 'replace',
    )
    if (replaced) {
      cancels.tell()
      watch.ended([])
    }
    return created
  }
  // No hint: before the commit of the caller's transaction it would be in vain.
  const createWithin = (orders: readonly NewTask[], options: CreateOptions) => {
    const go = () => {
      const wanted = wantedOf(orders, options)
      return wanted.length === 0 ? [] : database.within(options.tx, () => createWork(ledger, wanted))
    }
    // What is asynchronous rejects and never throws.
    return database.dialect === 'sqlite' ? go() : (async () => go())()
  }
  const create = (given: NewTask | readonly NewTask[], options: CreateOptions = {}) => {
    const orders = Array.isArray(given) ? (given as readonly NewTask[]) : [given as NewTask]
    const created = (options?.tx === undefined ? createNow : createWithin)(orders, options)
    if (orders === given) return created
    return after(created, ([one]) => one as Created)
  }

  const read = async (id: string): Promise<TaskRecord | undefined> => {
    if (!isUuid(id)) return undefined
    const { rows } = await database.read({ statement: ledger.reads.get, values: [id] })
    const [row] = rows
    return row && readRecord(row, database.where)
  }

  const result: Tasks['result'] = async (id, { waitMs = 0, signal } = {}) => {
    wholeNumber('waitMs', Math.ceil(waitMs), 0)
    if (waitMs === 0 && !signal?.aborted) return resultOf(await read(id))
    const until = clock.monotonic() + waitMs
    const stop = new AbortController()
    const abort = () => stop.abort()
    signal?.addEventListener('abort', abort)
    try {
      for (;;) {
        if (signal?.aborted) throw stoppedWaiting(signal)
        // Waited for from before the look, so that an end in between is not missed.
        const waited = new AbortController()
        const changed = watch.wait(id, AbortSignal.any([waited.signal, stop.signal]))
        try {
          const found = resultOf(await read(id))
          const leftMs = until - clock.monotonic()
          if (found.outcome !== 'unfinished' || leftMs <= 0) return found
          const cancel = timers.after(leftMs, () => waited.abort())
          await changed
          cancel()
        } finally {
          waited.abort()
        }
      }
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  return {
    create: create as Tasks['create'],
    worker(given) {
      const checked = workerSettings(given)
      const worker = startWorker(
        {
          ledger,
          clock,
          timers,
          random,
          maxResultBytes,
          work,
          cancels,
          ended: (ended) => watch.ended(ended),
          counters,
          emit,
        },
        checked,
      )
      const known = { worker, types: checked.types }
      workers.add(known)
      return {
        get active() {
          return worker.active
        },
        async stop(stopping) {
          await worker.stop(stopping)
          workers.delete(known)
        },
      }
    },
    async get(id) {
      const record = await read(id)
      return record && viewOf(record)
    },
    async find(asked) {
      const row = externalRow(
        checkName('taskId', asked?.taskId),
        checkName('userId', asked.userId),
        checkName('actionType', asked.actionType),
      )
      const { rows } = await database.read({
        statement: ledger.reads.find,
        values: rowsOf(ledger, EXTERNAL_FIELDS, [row]),
      })
      const [record] = recordsOf(ledger, rows)
      return record && viewOf(record)
    },
    list: (query = {}) => listTasks(ledger, query),
    result,
    async cancel(id, asked = {}) {
      const cancelled = await cancelTask(ledger, id, asked)
      if (cancelled.outcome === 'asked') cancels.tell()
      if (cancelled.outcome === 'cancelled') watch.ended([id])
      return cancelled
    },
    async redrive(id, audit) {
      const decided = await redriveTask(ledger, id, audit)
      if (decided.outcome === 'changed') tellWork()
      return decided
    },
    async resolve(id, resolution) {
      const decided = await resolveTask(ledger, id, resolution, maxResultBytes)
      if (decided.outcome === 'changed') {
        tellWork()
        watch.ended([id])
      }
      return decided
    },
    async sweep(limit = 500) {
      const most = wholeNumber('limit', limit, 1, 1000)
      const swept = await database.transaction(() => sweepWork(ledger, most))
      if (swept.length > 0) watch.ended(swept.map(({ id }) => id))
      return swept.length
    },
    purge: async (limit = 1000) =>
      purgeTasks(ledger, settings.retention, wholeNumber('limit', limit, 1, 10_000)),
    async stats() {
      const { counts, due } = await taskCounts(ledger)
      const handled = new Set([...workers].flatMap(({ types }) => types))
      return { counts, unhandled: due.filter((action) => !handled.has(action)), seen: { ...counters } }
    },
    doctor: () =>
      findingsOf(() =>
        doctorFindings(
          ledger,
          [...workers].flatMap(({ types }) => types),
        ),
      ),
    migrate: () => database.migrate(),
    async close() {
      await Promise.all([...workers].map(({ worker }) => worker.stop()))
      watch.close()
      await Promise.all([work.close(), cancels.close(), results.close()])
      await database.close()
    },
  }
}

function resultOf(record: TaskRecord | undefined): TaskResult {
  if (!record) return { outcome: 'unknown' }
  const { state, problem, cancel } = record
  switch (state) {
    case 'pending':
    case 'running':
      return { outcome: 'unfinished', state }
    case 'done':
      if (record.result !== null) return { outcome: 'done', value: decoded(record, record.result) }
      return {
        outcome: 'not-replayable',
        reason: problem && 'notReplayable' in problem ? problem.notReplayable : '',
      }
    case 'cancelled':
      return { outcome: 'cancelled', reason: cancel ?? '' }
    case 'failed':
    case 'dead':
    case 'held':
      return { outcome: state, failure: problem && 'failure' in problem ? problem.failure : UNKNOWN_FAILURE }
  }
}

const UNKNOWN_FAILURE: TaskFailure = { name: 'Error', message: 'not known', effect: 'unknown' }
