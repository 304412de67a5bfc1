import type { Timers } from '../core/clock.ts'

/** Something that can be waited for again and again. */
export interface Wakeable {
  /** Wakes whoever waits. */
  now(): void
  /** Wakes them at the end of this turn of the event loop, once for all that happens in it. */
  soon(): void
  /** Wakes them after so many ms. */
  within(ms: number): void
  /** Resolves at the next wake. */
  next(): Promise<void>
  /** Hears from this moment on, so that a wake before the waiting begins is not missed. */
  listen(): {
    orAfter(ms: number): Promise<void>
    /** Does not wait after all. */
    leave(): void
  }
}

/** Makes one. */
export function wakeable(timers: Timers): Wakeable {
  let waiting = new Set<() => void>()
  let isPlanned = false
  const now = () => {
    if (waiting.size === 0) return
    const woken = waiting
    waiting = new Set()
    for (const wake of woken) wake()
  }
  const next = () => new Promise<void>((resolve) => void waiting.add(resolve))
  return {
    now,
    soon() {
      if (isPlanned || waiting.size === 0) return
      isPlanned = true
      setImmediate(() => {
        isPlanned = false
        now()
      })
    },
    within(ms) {
      timers.after(ms, now, { background: true })
    },
    next,
    listen() {
      let wake = () => {}
      const woken = new Promise<void>((resolve) => {
        wake = resolve
      })
      waiting.add(wake)
      const leave = () => void waiting.delete(wake)
      return {
        leave,
        async orAfter(ms) {
          const cancel = timers.after(ms, wake)
          await woken
          cancel()
          leave()
        },
      }
    },
  }
}
