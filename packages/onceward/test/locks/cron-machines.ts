import { createLocks } from '../../src/locks/create-locks.ts'
import type { CronOptions, Schedule, SingleTick, TickOutcome, TickRun } from '../../src/locks/cron-types.ts'
import type { FencingBackend } from '../../src/locks/lock-backend.ts'
import type { LockEvent, Locks } from '../../src/locks/lock-types.ts'
import type { ManualTime } from '../../src/testing/manual-time.ts'

export const MINUTE = 60_000
export const START: number = Date.UTC(2026, 0, 1)
export const everyMinute: Schedule = {
  next: (after) => new Date((Math.floor(after.getTime() / MINUTE) + 1) * MINUTE),
}
/** Minutes after the start. */
export const at = (minutes: number): number => START + minutes * MINUTE

/** One machine: its clock, and a switch that kills it. */
export interface Machine {
  readonly locks: Locks<number>
  readonly events: LockEvent[]
  /** From now on nothing that it sent is answered, and none of its timers fires. */
  die(): void
}

export interface MachineOptions {
  readonly skewMs?: number
  /** Dies when it calls this method of the backend, before or after the call is carried out. */
  readonly diesAt?: { readonly method: keyof FencingBackend; readonly nth: number; readonly applied: boolean }
}

/** A machine whose timers are those of `time`. */
export function machine(time: ManualTime, backend: FencingBackend, options: MachineOptions = {}): Machine {
  const { skewMs = 0, diesAt } = options
  const events: LockEvent[] = []
  let dead = false
  let calls = 0
  const never = new Promise<never>(() => {})
  const wired = new Proxy(backend, {
    get(target, method: keyof FencingBackend) {
      const value = target[method]
      if (typeof value !== 'function' || method === 'watch') return value
      return async (...args: unknown[]) => {
        if (dead) return never
        const hit = diesAt?.method === method && ++calls === diesAt.nth
        if (hit) dead = true
        if (hit && !diesAt.applied) return never
        const reply: unknown = await Reflect.apply(value, target, args)
        return dead ? never : reply
      }
    },
  })
  const locks = createLocks(wired, {
    clock: { now: () => time.now() + skewMs, monotonic: () => time.monotonic() },
    timers: { after: (delayMs, callback) => time.after(delayMs, () => dead || callback()) },
    observer: (event) => events.push(event),
  })
  return {
    locks,
    events,
    die() {
      dead = true
    },
  }
}

/** What another scheduler does. */
export function fire<T>(
  { locks }: { readonly locks: Locks<number> },
  tick: SingleTick,
  fn: (run: TickRun<number>) => T | Promise<T>,
): Promise<TickOutcome<T>> {
  return locks.cron('job', tick, fn)
}

export const base = { schedule: everyMinute, atMostMs: 30_000, ttlMs: 6000 } satisfies CronOptions
/** What was told of ticks, in order. */
export const typesOf = ({ events }: Machine): readonly string[] =>
  events.map(({ type }) => type).filter((type) => type.startsWith('tick'))
