import type { Clock, Timers } from '../core/clock.ts'

/** Time that stands still until it is told to move. */
export interface ManualTime extends Clock, Timers {
  /** Moves time by `ms`, firing due timers in order, each at its own moment, and lets what they started run. */
  advance(ms: number): Promise<void>
  /** Moves the clocks by `ms` without firing a timer, as a blocked event loop or a suspended process does. */
  jump(ms: number): void
  /** How many timers wait. */
  readonly pending: number
}

interface Timer {
  readonly at: number
  readonly callback: () => void
}

/** Makes a clock with its timers for tests. It starts at `startMs`, in ms since the epoch. */
export function manualTime(startMs: number = Date.UTC(2026, 0, 1)): ManualTime {
  let now = startMs
  const timers = new Set<Timer>()
  const due = (until: number) => {
    let first: Timer | undefined
    for (const timer of timers) if (timer.at <= until && (!first || timer.at < first.at)) first = timer
    return first
  }
  return {
    now: () => now,
    monotonic: () => now - startMs,
    after(delayMs, callback) {
      const timer = { at: now + delayMs, callback }
      timers.add(timer)
      return () => {
        timers.delete(timer)
      }
    },
    async advance(ms) {
      const until = now + ms
      await settle()
      for (let timer = due(until); timer; timer = due(until)) {
        timers.delete(timer)
        now = Math.max(now, timer.at)
        timer.callback()
        await settle()
      }
      now = until
      await settle()
    },
    jump(ms) {
      now += ms
    },
    get pending() {
      return timers.size
    },
  }
}

/** Lets everything run that needs no further time. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => setImmediate(resolve))
  })
}
