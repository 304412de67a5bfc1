import type { Clock, Random, Timers } from '../core/clock.ts'
import { isLasting } from '../core/errors.ts'
import { jittered } from '../core/jittered.ts'
import { atLeast } from '../core/known-fields.ts'
import { countOnMs, readClock, sinceMs } from '../core/lease-clock.ts'
import { pause } from '../core/pause.ts'
import type { ChangeHints } from '../drivers/database/index.ts'
import { gatherer, type Waiting } from '../drivers/sql/index.ts'
import { Attempt, endingOf } from './attempt.ts'
import { claimLanes } from './claim-lanes.ts'
import { type Ack, type Acked, claimTasks, settleAndClaim, settleTasks, strayTasks } from './claim-work.ts'
import { leases } from './leases.ts'
import { sweepWork, type TaskLedger } from './task-ledger.ts'
import type { TaskRecord } from './task-record.ts'
import type { Ending } from './task-transitions.ts'
import type { TaskEventNotice, WorkerCounters } from './task-types.ts'
import { wakeable } from './wakeable.ts'
import type { WorkerSettings } from './worker-settings.ts'
import type { TaskHandler, TaskRun, TaskWorker } from './worker-types.ts'

/** What a worker needs of its instance. */
export interface WorkerParts {
  readonly ledger: TaskLedger
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly maxResultBytes: number
  /** Tells of tasks that may be due. */
  readonly work: ChangeHints
  /** Tells of running tasks that are to be cancelled. */
  readonly cancels: ChangeHints
  /** Tasks have ended: whoever waits for results looks. */
  ended(ids: readonly string[]): void
  readonly counters: { -readonly [Name in keyof WorkerCounters]: number }
  emit(event: TaskEventNotice): void
}

/** The most attempts that are ended in one statement. */
const MAX_ACKS = 500

/** From how many tasks at a time they are claimed in halves, of which one is run while the other is on its way. */
const DOUBLE_FROM = 20

/** Lapsed attempts are looked for this often in a lease, in ms between these bounds. */
const SWEEPS_PER_LEASE = 4
const MIN_SWEEP_MS = 25
const MAX_SWEEP_MS = 1000

/** How many lapsed attempts are ended in one transaction. */
const MAX_SWEPT = 200

/** Begins a worker: it claims, runs, renews, ends and sweeps until it is stopped. */
export function startWorker(parts: WorkerParts, settings: WorkerSettings): TaskWorker {
  const { ledger, clock, timers, random, counters, emit } = parts
  const { handlers, concurrency, batchSize, leaseMs, pollMs } = settings
  const owner = random.nonce()
  const active = new Set<Attempt>()
  /** Those whose handlers have not ended: the others only wait for the database to hear of their end. */
  let running = 0
  const wake = wakeable(timers)
  let actions = settings.types
  let stopping = false
  const isDouble = ledger.dialect === 'postgres' && concurrency >= DOUBLE_FROM
  const trouble = (error: unknown) => emit({ type: 'error', id: '', actionType: '', error })
  const book = leases({
    ledger,
    clock,
    timers,
    leaseMs,
    lost({ record }, message) {
      counters.lost++
      emit({ ...about(record), type: 'lost', message })
    },
    trouble,
  })
  const acks = gatherer<Ack, Acked>({
    maxBatch: MAX_ACKS,
    maxInFlight: 3,
    late: ledger.dialect === 'postgres',
    send: settleBatch,
  })

  async function settleBatch(
    batch: readonly Waiting<Ack, Acked>[],
    settling = () => settleTasks(ledger, asksOf(batch)),
  ): Promise<void> {
    try {
      const settled = await settling()
      for (const { ask, resolve } of batch) resolve(settled.get(ask.record.id) ?? 'lost')
      parts.ended(batch.map(({ ask }) => ask.record.id))
    } catch (error) {
      if (batch.length === 1 || !isLasting(error)) throw error
      // What one of them is refused for is not the others' fault.
      for (const one of batch) await settleBatch([one]).catch(one.reject)
    }
  }

  /** Brings the end of an attempt to the database: for one lease, under the heartbeat. */
  const end = async (attempt: Attempt, ending: Ending): Promise<void> => {
    attempt.isEnding = true
    const startedAt = clock.monotonic()
    for (let pauseMs = 10; ; pauseMs = Math.min(pauseMs * 2, leaseMs / 6)) {
      try {
        const ack = { record: attempt.record, ending, now: attempt.now(clock) }
        return told(attempt, ending, await acks.call(attempt.record.id, ack))
      } catch (error) {
        trouble(error)
        if (isLasting(error) || clock.monotonic() - startedAt >= leaseMs) {
          attempt.lose('the end of the attempt could not be stored')
          return
        }
      }
      await pause({ timers }, jittered(random, pauseMs))
    }
  }
  const told = (attempt: Attempt, ending: Ending, acked: Acked): void => {
    const { record } = attempt
    if (acked === 'lost') {
      const message = `what attempt ${record.attempt} brought was refused: the task is another's by now, or was ended`
      if (!attempt.lose(message)) return
      counters.lost++
      emit({ ...about(record), type: 'lost', message })
      return
    }
    const { state, runAt, changedAt, problem } = acked.record
    if (state === 'pending') {
      if (ending.kind === 'released') return
      counters.retried++
      wake.within(Math.max(0, runAt - changedAt))
      emit({ ...about(record), type: 'retried' })
      return
    }
    if (state === 'running') return
    counters[state]++
    emit({ ...about(record), type: state })
    if (problem && 'notReplayable' in problem) {
      emit({ ...about(record), type: 'not-replayable', message: problem.notReplayable })
    }
  }

  const run = (attempt: Attempt): Promise<Ending> => {
    const { record } = attempt
    const handle: TaskRun = {
      attempt: record.attempt,
      fence: record.fence,
      get signal() {
        book.check(attempt)
        return attempt.signal
      },
      async heartbeat() {
        if (!book.check(attempt)) await book.beat()
        if (attempt.reason) throw attempt.reason
      },
    }
    return endingOf(attempt, handlers.get(record.actionType) as TaskHandler, handle, parts)
  }
  /** An attempt is active until the database has heard of its end. */
  const live = async (attempt: Attempt, isToRun: boolean): Promise<void> => {
    try {
      if (!isToRun) return await end(attempt, { kind: 'released' })
      running++
      const ending = await run(attempt)
      running--
      wake.soon()
      await end(attempt, ending)
    } finally {
      book.drop(attempt)
      active.delete(attempt)
      wake.soon()
    }
  }
  const begin = (record: TaskRecord, sentAt: ReturnType<typeof readClock>): void => {
    const attempt = new Attempt(record, sentAt)
    active.add(attempt)
    const isSpent = sinceMs({ clock }, sentAt) >= countOnMs(leaseMs)
    if (!isSpent) book.keep(attempt)
    const isToRun = !stopping && !isSpent
    void live(attempt, isToRun)
    if (!isToRun) return
    counters.claimed++
    emit({ ...about(record), type: 'claimed' })
  }

  const claim = async (most: number): Promise<number> => {
    const sentAt = readClock({ clock })
    const ask = { actions, most, owner, leaseMs }
    // Others first the next time, so that a long queue of one action does not starve the rest.
    actions = [...actions.slice(1), ...actions.slice(0, 1)]
    const beginAll = (claimed: readonly TaskRecord[]) => {
      for (const record of claimed) begin(record, sentAt)
      return claimed.length
    }
    if (ledger.dialect !== 'postgres') return beginAll(await claimTasks(ledger, ask))
    // What has ended goes along, which saves a round trip.
    return acks.along(async (batch) => {
      if (batch.length === 0) return beginAll(await claimTasks(ledger, ask))
      const turn = await settleAndClaim(ledger, asksOf(batch), ask).catch(async (error: unknown) => {
        // What one of them is refused for is not the fault of the others.
        if (isLasting(error)) await settleBatch(batch)
        throw error
      })
      const count = beginAll(turn.claimed)
      await settleBatch(batch, turn.settled).catch((error: unknown) => {
        for (const one of batch) one.reject(error)
      })
      return count
    })
  }
  /** Gives back what this worker was given without having heard of it: nothing of it was begun. */
  const giveBackStrays = async (): Promise<void> => {
    const known = new Set([...active].map(({ record }) => `${record.id} ${record.attempt}`))
    for (const record of await strayTasks(ledger, owner)) {
      if (known.has(`${record.id} ${record.attempt}`)) continue
      const attempt = new Attempt(record, readClock({ clock }))
      await end(attempt, { kind: 'released' })
    }
  }
  const sweepMs = Math.min(MAX_SWEEP_MS, Math.max(MIN_SWEEP_MS, leaseMs / SWEEPS_PER_LEASE))
  let cancelSweep = () => {}
  const sweep = async (): Promise<void> => {
    try {
      const swept = await ledger.database.transaction(() => sweepWork(ledger, MAX_SWEPT))
      if (swept.length > 0) {
        parts.ended(swept.map(({ id }) => id))
        wake.within(Math.max(0, Math.min(...swept.map(({ runAt, changedAt }) => runAt - changedAt))))
      }
    } catch (error) {
      trouble(error)
    }
    if (!stopping) scheduleSweep()
  }
  const scheduleSweep = () => {
    cancelSweep = timers.after(jittered(random, sweepMs, 0.2), () => void sweep(), { background: true })
  }
  const heard = parts.work.listen(() => wake.now())
  const cancelled = parts.cancels.listen(() => {
    if (active.size > 0) void book.beat()
  })
  scheduleSweep()
  const looping = claimLanes({
    clock,
    random,
    wake,
    leaseMs,
    pollMs,
    isDouble,
    most: isDouble ? Math.min(batchSize, Math.ceil(concurrency / 2)) : batchSize,
    free: () => Math.min(concurrency - running, 2 * concurrency - active.size),
    isEnding: () => running < active.size,
    claim,
    giveBackStrays,
    trouble,
    isStopping: () => stopping,
  })

  const settled = async (ms: number): Promise<boolean> => {
    const until = clock.monotonic() + ms
    while (active.size > 0) {
      const leftMs = until - clock.monotonic()
      if (leftMs <= 0) return false
      await wake.listen().orAfter(leftMs)
    }
    return true
  }
  let stopped: Promise<void> | undefined
  const stop = async (graceMs: number): Promise<void> => {
    stopping = true
    wake.now()
    heard.stop()
    await looping
    if (!(await settled(graceMs))) {
      for (const attempt of active) attempt.stop('the worker has stopped, and its grace is over')
      await settled(Math.min(leaseMs, ABORT_GRACE_MS))
    }
    cancelled.stop()
    cancelSweep()
    book.stop()
  }

  return {
    get active() {
      return active.size
    },
    stop(options = {}) {
      stopped ??= stop(atLeast('graceMs', options.graceMs ?? settings.graceMs, 0))
      return stopped
    },
  }
}

/** How long handlers have to end once their signals have aborted, in ms. */
const ABORT_GRACE_MS = 1000

function asksOf(batch: readonly Waiting<Ack, Acked>[]): readonly Ack[] {
  return batch.map(({ ask }) => ask)
}

function about({ id, actionType, attempt }: TaskRecord) {
  return { id, actionType, attempt }
}
