import { backOffMs } from '../core/back-off.ts'
import { isOncewardError, OncewardError } from '../core/errors.ts'
import { jittered } from '../core/jittered.ts'
import { readMark, tickKey } from './cron-mark.ts'
import { type CronHost, type TickPolicy, type TickResult, tickRunner } from './cron-run.ts'
import { tickOf } from './cron-settings.ts'
import type { CronJob, CronOptions, Schedule, TickRun } from './cron-types.ts'
import { type DueTicks, dueTicks, type MissedPolicy } from './missed-ticks.ts'

/**
 * Follows a schedule: one tick after another, never two at once in this process.
 *
 * `cursor` is the last tick that is settled, here or by another instance. What is due is what the schedule names after it; a
 * tick that could not be begun (another instance was at it, the backend was away) stays due until it counts as missed.
 *
 * @param forget - Called once, when the job has been stopped.
 */
export function followSchedule<T, Fence extends number | undefined>(
  host: CronHost<Fence>,
  name: string,
  policy: TickPolicy & MissedPolicy,
  schedule: Schedule,
  options: Pick<CronOptions, 'onError' | 'signal'>,
  fn: (run: TickRun<Fence>) => T | Promise<T>,
  forget: (job: CronJob<T>) => void,
): CronJob<T> {
  const { clock, timers, random, backend } = host
  const { onError, signal } = options
  const key = tickKey(name)
  const runner = tickRunner(host, name, policy, fn)
  let cursor = clock.now()
  let toldMissed = -Infinity
  let begun = false
  let stopped = false
  let lookAgainAt: number | undefined
  let failures = 0
  // Asked here first: a schedule that cannot answer is refused at once.
  let known = { cursor, next: nextIn(schedule, cursor) }
  let cancel = () => {}
  /** Wakes and triggered ticks, one after the other. */
  let last: Promise<unknown> = Promise.resolve()

  const inTurn = <R>(work: () => Promise<R>): Promise<R> => {
    const turn = last.then(work)
    last = turn.catch(() => {})
    return turn
  }

  async function wake(): Promise<void> {
    if (stopped) return
    try {
      if (!begun) await begin()
      const looks = lookAgainAt !== undefined && lookAgainAt <= clock.now()
      if (looks) lookAgainAt = undefined
      const none: DueTicks = { ticks: [] }
      const due = afterCursor() <= clock.now() ? dueTicks(schedule, cursor, clock.now(), policy) : none
      if (due.dropped !== undefined && due.dropped > toldMissed) await tellMissed(due.dropped)
      for (const tick of due.ticks) {
        const settled = await runTick(tick)
        if (!settled || stopped) break
      }
      if (looks && due.ticks.length === 0) settle(await runner.look())
      failures = 0
    } catch (error) {
      failed(error)
    }
    plan()
  }

  /** Finds what happened before this process came: ticks that were missed, and runs that were cut off. */
  async function begin(): Promise<void> {
    const view = await backend.inspect(key)
    const mark = readMark(name, view?.mark)
    begun = true
    if (!mark) return
    if (policy.missed !== 'skip') cursor = Math.min(cursor, mark.tick)
    const cutOff = mark.state === 'again' || (mark.state === 'started' && policy.onCrash !== 'skip')
    if (cutOff)
      lookAgainAt = clock.now() + Math.max(0, ...(view?.holders ?? []).map((one) => one.remainingMs))
  }

  async function runTick(tick: number): Promise<boolean> {
    const result = await runner.run(tick, settle)
    if (!settle(result)) return false
    cursor = Math.max(cursor, tick)
    return true
  }

  /** Whether the tick needs no further look. */
  function settle(result: TickResult<T>): boolean {
    if (result.outcome === 'held') return false
    if (result.outcome === 'busy') {
      // Who is at it may crash. If the tick counts as missed by then, a look is for the crash alone.
      if (policy.onCrash !== 'skip' || policy.missed !== 'skip' || result.tick > clock.now() - policy.graceMs)
        lookAgainAt = clock.now() + jittered(random, Math.max(result.retryAfterMs, LEAST_LOOK_MS), 0.1)
      return false
    }
    if (result.outcome === 'threw') thrown(result.error, result.run)
    if (result.outcome === 'already') cursor = Math.max(cursor, Math.min(result.tick, clock.now()))
    return true
  }

  function thrown(error: unknown, run: TickRun): void {
    try {
      onError?.(error, run)
    } catch {
      // The fault of whoever is told of a failure must not stop the schedule.
    }
  }

  function failed(error: unknown): void {
    if (isOncewardError(error, 'CLOSED')) {
      void stop()
      return
    }
    failures++
    host.emit('tick-delayed', key, { error })
    lookAgainAt =
      clock.now() + jittered(random, backOffMs({ initialMs: LEAST_LOOK_MS, maxMs: MAX_BACKOFF_MS }, failures))
  }

  /** Says that a tick was missed, unless another instance has run it. */
  async function tellMissed(tick: number): Promise<void> {
    toldMissed = tick
    const mark = readMark(name, (await backend.inspect(key))?.mark)
    if (mark && mark.tick >= tick) cursor = Math.max(cursor, Math.min(mark.tick, clock.now()))
    else host.emit('tick-missed', key, { tick, message: 'no instance could begin it in time' })
  }

  /** Sleeps until something can be due, and never for long: a wall clock that was set tells nobody. */
  function plan(): void {
    if (stopped) return
    cancel()
    const now = clock.now()
    let next = now + LONGEST_SLEEP_MS
    try {
      next = nextAfter(now)
    } catch (error) {
      // A schedule is the user's code, and nobody is there to catch what it throws.
      host.emit('tick-delayed', key, { error })
    }
    const at = Math.min(next, lookAgainAt ?? Infinity)
    if (at === Infinity) return
    const sleepMs = Math.max(1, Math.min(at - now, LONGEST_SLEEP_MS))
    cancel = timers.after(sleepMs, () => void inTurn(wake))
  }

  /** The first tick that is not settled. Asked at every wake, and some schedules take their time to answer. */
  function afterCursor(): number {
    if (known.cursor !== cursor) known = { cursor, next: nextIn(schedule, cursor) }
    return known.next
  }

  function nextAfter(now: number): number {
    const next = afterCursor()
    return next > now ? next : nextIn(schedule, now)
  }

  const stop = async (): Promise<void> => {
    if (!stopped) {
      stopped = true
      cancel()
      signal?.removeEventListener('abort', onAbort)
      forget(job)
    }
    await last
  }
  const onAbort = () => void stop()

  const job: CronJob<T> = {
    name,
    next() {
      const at = stopped ? Infinity : nextAfter(clock.now())
      return at === Infinity ? null : new Date(at)
    },
    trigger(given) {
      const tick = tickOf(given)
      return inTurn(async () => {
        if (stopped) throw new OncewardError('CLOSED', `the job "${name}" was stopped; make a new one`)
        const result = await runner.run(tick, settle)
        if (result.outcome === 'threw') throw result.error
        return result
      })
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  // Not before whoever asked has the job.
  if (signal?.aborted) queueMicrotask(onAbort)
  void inTurn(wake)
  return job
}

function nextIn(schedule: Schedule, after: number): number {
  const next = schedule.next(new Date(after))?.getTime() ?? Infinity
  if (next > after) return next
  throw new TypeError(`a schedule must answer a later time or null, not ${next}`)
}

/** The shortest time between two looks after another instance, in ms. */
const LEAST_LOOK_MS = 250

/** While the backend is away. In ms. */
const MAX_BACKOFF_MS = 30_000

const LONGEST_SLEEP_MS = 60_000
