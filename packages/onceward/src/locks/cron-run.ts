import { isOncewardError } from '../core/errors.ts'
import { jittered } from '../core/jittered.ts'
import { pause } from '../core/pause.ts'
import { MARK_KEPT_MS, planTick, readMark, type TickMark, tickKey, writeMark } from './cron-mark.ts'
import type { OnCrash, TickOutcome, TickRun } from './cron-types.ts'
import type { HeldLock } from './lock-backend.ts'
import type { LockEngine } from './lock-options.ts'
import { readToken } from './lock-token.ts'
import type { HoldOptions, Lease } from './lock-types.ts'

/** What cron needs of the locks that it belongs to. */
export interface CronHost<Fence extends number | undefined> extends LockEngine {
  tryAcquire(key: string, options: HoldOptions): Promise<Lease<Fence> | null>
}

/** How ticks are run, with every default filled in. */
export interface TickPolicy {
  readonly atMostMs: number
  readonly atLeastMs: number
  readonly ttlMs: number
  readonly onCrash: OnCrash
  readonly maxAttempts: number
  /** How far ahead of the backend's clock a tick may be, in ms. Absent: as far as it likes. */
  readonly maxAheadMs?: number
}

/** What became of a tick, where `fn` may have thrown. */
export type TickResult<T> =
  | TickOutcome<T>
  | { readonly outcome: 'threw'; readonly tick: number; readonly error: unknown; readonly run: TickRun }

/** Runs ticks of one name. */
export interface TickRunner<T> {
  /** Runs a tick if it is its turn, and before it whatever a crash has left to be run again: `meanwhile` is told of that. */
  run(tick: number, meanwhile: (result: TickResult<T>) => void): Promise<TickResult<T>>
  /** Only looks after a crash. */
  look(): Promise<TickResult<T>>
}

/** Makes the runner of one name. */
export function tickRunner<T, Fence extends number | undefined>(
  host: CronHost<Fence>,
  name: string,
  policy: TickPolicy,
  fn: (run: TickRun<Fence>) => T | Promise<T>,
): TickRunner<T> {
  const key = tickKey(name)
  const { backend, clock, timers } = host

  /** Does one thing under the lock. */
  async function once(tick: number | undefined): Promise<TickResult<T>> {
    const lease = await host.tryAcquire(key, holdOptions(policy, tick))
    const asked = tick ?? 0
    const busy = (retryAfterMs: number) => ({ outcome: 'busy', tick: asked, retryAfterMs }) as const
    if (!lease) return busy(await lapsesInMs())
    try {
      const mark = readMark(name, (await backend.inspect(key))?.mark)
      if (tick !== undefined && isAhead(tick, lease.fence)) return { outcome: 'refused', tick }
      const plan = planTick(mark, tick, policy)
      if (plan.do !== 'nothing' && plan.crashed) {
        const message = `attempt ${plan.crashed.attempt} was cut off`
        host.emit('tick-crashed', key, { tick: plan.crashed.tick, message })
      }
      if (plan.do === 'nothing') {
        return plan.held === undefined
          ? { outcome: 'already', tick: mark?.tick ?? asked }
          : heldBack(asked, plan.held)
      }
      if (plan.do === 'settle') {
        if (!(await write(lease, plan.mark))) return busy(policy.ttlMs)
        const { tick: settled, state } = plan.mark
        return state === 'held' ? heldBack(asked, settled) : { outcome: 'already', tick: settled }
      }
      const { attempt } = plan
      if (!(await write(lease, { tick: plan.tick, attempt, state: 'started' }))) return busy(policy.ttlMs)
      const beganAt = clock.monotonic()
      const result = await work(lease, plan.tick, attempt)
      await keepAtLeast(lease, beganAt)
      return result
    } finally {
      await lease.release().catch(() => {
        // It lapses by itself, and the engine has told of it.
      })
    }
  }

  async function work(lease: Lease<Fence>, tick: number, attempt: number): Promise<TickResult<T>> {
    const run: TickRun<Fence> = {
      name,
      tick,
      attempt,
      fence: lease.fence,
      lease,
      get signal() {
        return lease.signal
      },
    }
    const beganAt = clock.monotonic()
    const settle = async (state: 'done' | 'failed', error?: unknown) => {
      const kept = await writeWhileHeld(lease, { tick, attempt, state })
      host.emit(kept ? `tick-${state}` : 'tick-lost', key, {
        tick,
        durationMs: clock.monotonic() - beganAt,
        ...(lease.fence === undefined ? {} : { fence: lease.fence }),
        ...(state === 'failed' ? { error } : {}),
      })
      return kept
    }
    let value: T
    try {
      value = await fn(run)
    } catch (error) {
      await settle('failed', error)
      return { outcome: 'threw', tick, error, run }
    }
    return { outcome: (await settle('done')) ? 'ran' : 'lost', tick, attempt, value }
  }

  /** The end of a run is worth some patience: without it the tick looks like a crash. */
  async function writeWhileHeld(lease: Lease<Fence>, mark: TickMark): Promise<boolean> {
    for (let waitMs = FIRST_PAUSE_MS; lease.remainingMs() > 0; waitMs = Math.min(waitMs * 2, 1000)) {
      try {
        return await write(lease, mark)
      } catch (error) {
        if (isOncewardError(error) && !error.retryable) return false
        await pause({ timers }, jittered(host.random, waitMs), { background: true })
      }
    }
    return false
  }

  async function write(lease: Lease<Fence>, mark: TickMark): Promise<boolean> {
    return (await backend.mark?.(heldBy(lease), writeMark(mark), MARK_KEPT_MS)) ?? false
  }

  /** Gives the lock to a holder that nobody extends: it lapses when the time is over, also if this process ends. */
  async function keepAtLeast(lease: Lease<Fence>, beganAt: number): Promise<void> {
    const restMs = policy.atLeastMs - (clock.monotonic() - beganAt)
    if (restMs <= 0) return
    const keeper = {
      token: host.random.nonce(),
      ttlMs: Math.max(restMs, backend.minTtlMs),
      owner: host.owner,
    }
    await backend.transfer(heldBy(lease), keeper).catch(() => undefined)
  }

  async function lapsesInMs(): Promise<number> {
    const holders = (await backend.inspect(key))?.holders ?? []
    return Math.max(1, ...holders.map(({ remainingMs }) => remainingMs))
  }

  function heldBack(tick: number, held: number): TickOutcome<T> {
    const message = `a run of "${name}" was cut off; nothing of this name runs until resolveTick decides`
    host.emit('tick-held', key, { tick: held, message })
    return { outcome: 'held', tick, held }
  }

  /** A clock that is far ahead would use up the ticks of everybody else. Fences of most backends tell the time. */
  function isAhead(tick: number, fence: number | undefined): boolean {
    if (policy.maxAheadMs === undefined || fence === undefined || fence < OLDEST_TIME_FENCE) return false
    const aheadMs = tick - fence / 1000
    if (aheadMs <= policy.maxAheadMs) return false
    const message = `the clock of this machine is ${Math.round(aheadMs / 1000)} s ahead of that of ${backend.where}; set it`
    host.emit('tick-refused', key, { tick, message })
    return true
  }

  return {
    async run(tick, meanwhile) {
      for (;;) {
        const result = await once(tick)
        const ofAnother = 'run' in result || result.outcome === 'ran' || result.outcome === 'lost'
        if (!ofAnother || result.tick === tick) return result
        meanwhile(result)
      }
    },
    look: () => once(undefined),
  }
}

/** What the backend knows a lease as. */
export function heldBy({ token }: Lease): HeldLock {
  const content = readToken(token)
  return { key: content.key, token: content.token }
}

/** Which lock a run has: its watchdog stops so early that the last extension ends by `atMostMs`. */
function holdOptions({ atMostMs, ttlMs }: TickPolicy, tick: number | undefined): HoldOptions {
  return {
    reentrant: false,
    ...(tick === undefined ? {} : { meta: `tick ${new Date(tick).toISOString()}` }),
    ...(ttlMs < atMostMs
      ? { ttlMs, renew: true, maxHoldMs: atMostMs - ttlMs }
      : { ttlMs: atMostMs, renew: false }),
  }
}

const FIRST_PAUSE_MS = 50

/** Fences below are no microseconds since the epoch: the year 2001. */
const OLDEST_TIME_FENCE = 1e15
