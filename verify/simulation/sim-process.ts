import type { Clock, Random, Timers } from 'onceward'
import type { PlannedProcess } from './plan.ts'
import type { Prng } from './prng.ts'
import type { Scheduler } from './scheduler.ts'

/** One life of one process: everything that a crash takes with it. */
export interface Incarnation {
  readonly index: number
  readonly spec: PlannedProcess
  readonly alive: boolean
  readonly paused: boolean
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** How many timers are set that keep a real process alive, or not. */
  readonly timersSet: number
  /** Lets something from outside reach the process: at once, after its pause, or never. */
  deliver(run: () => void): void
  /** Resolves after `delayMs` on the process's own clock, unless it dies before. */
  sleep(delayMs: number): Promise<void>
  /** Everything it was doing is gone. */
  crash(): void
  /** It stops running code until {@link resume}; its clocks go on. */
  pause(): void
  resume(): void
  /** Sets its wall clock forward or back. */
  jumpClock(byMs: number): void
}

/** The wall clock of the store at the start of every simulation, in ms since the epoch. */
export const EPOCH_MS = 1_750_000_000_000

/** Starts a process. */
export function startProcess(
  index: number,
  spec: PlannedProcess,
  scheduler: Scheduler,
  prng: Prng,
): Incarnation {
  let alive = true
  let paused = false
  let jumpedMs = 0
  let timersSet = 0
  let nonces = 0
  const late: { readonly timer: boolean; readonly run: () => void }[] = []
  const speed = 1 + spec.drift
  const life = prng.int(2 ** 31).toString(36)

  const arrive = (timer: boolean, run: () => void) => {
    if (!alive) return
    if (paused) late.push({ timer, run })
    else run()
  }

  const after: Timers['after'] = (delayMs, callback) => {
    if (!alive) return () => {}
    timersSet++
    let over = false
    const end = () => {
      if (over) return false
      over = true
      timersSet--
      return true
    }
    // Real timers are never early and often a little late.
    const scheduled = scheduler.after(Math.max(0, delayMs) / speed + prng.fraction() * 0.5, () =>
      arrive(true, () => {
        if (end()) callback()
      }),
    )
    return () => {
      if (end()) scheduled.cancel()
    }
  }

  return {
    index,
    spec,
    get alive() {
      return alive
    },
    get paused() {
      return paused
    },
    get timersSet() {
      return timersSet
    },
    clock: {
      now: () => EPOCH_MS + spec.skewMs + jumpedMs + scheduler.now() * speed,
      monotonic: () => scheduler.now() * speed,
    },
    timers: { after },
    random: {
      nonce: () => `${index}-${life}-${nonces++}`,
      fraction: prng.fraction,
    },
    deliver: (run) => arrive(false, run),
    sleep: (delayMs) =>
      new Promise((resolve) => {
        if (!alive) return
        scheduler.after(delayMs / speed, () => arrive(true, resolve))
      }),
    crash() {
      alive = false
      timersSet = 0
      late.length = 0
    },
    pause() {
      paused = true
    },
    resume() {
      if (!paused) return
      paused = false
      // After a pause everything is due at once; whether timers or replies come first is up to the event loop.
      const timersFirst = prng.chance(0.5)
      for (const { run } of late.filter(({ timer }) => timer === timersFirst))
        scheduler.after(0, () => arrive(timersFirst, run))
      for (const { run } of late.filter(({ timer }) => timer !== timersFirst))
        scheduler.after(0, () => arrive(!timersFirst, run))
      late.length = 0
    },
    jumpClock(byMs) {
      jumpedMs += byMs
    },
  }
}
