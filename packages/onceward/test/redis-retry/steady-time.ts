import type { Clock, Timers } from '../../src/core/clock.ts'

/** So often the clock looks whether it was kept from looking, in ms. */
const LOOK_MS = 5
/** More than this between two looks is the machine's time, not ours, in ms. */
const MOST_MS = 20

/** Time in which this process runs: while it is kept from running, or does one thing for long, none passes. */
export interface SteadyTime {
  readonly clock: Clock
  readonly timers: Timers
  stop(): void
}

/**
 * Makes such a time, for tests of short limits: a limit that lapses while this process stands still would say that an answer
 * is late which waits in its sockets.
 */
export function steadyTime(): SteadyTime {
  let seenAt = performance.now()
  let lostMs = 0
  const monotonic = () => {
    const now = performance.now()
    lostMs += Math.max(0, now - seenAt - MOST_MS)
    seenAt = now
    return now - lostMs
  }
  const looking = setInterval(monotonic, LOOK_MS).unref()
  return {
    clock: { now: Date.now, monotonic },
    timers: {
      after(delayMs, callback, options) {
        const dueAt = monotonic() + delayMs
        let timer: NodeJS.Timeout
        const wait = () => {
          const leftMs = dueAt - monotonic()
          if (leftMs <= 0) return callback()
          timer = setTimeout(wait, leftMs)
          if (options?.background === true) timer.unref()
        }
        timer = setTimeout(wait, delayMs)
        if (options?.background === true) timer.unref()
        return () => clearTimeout(timer)
      },
    },
    stop: () => clearInterval(looking),
  }
}
