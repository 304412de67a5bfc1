import type { Timers } from '../core/clock.ts'

/** Time limits of what nearly always ends before. */
export interface TimeLimits {
  /** Calls `over` once after `ms`, unless the returned function was called before. */
  after(ms: number, over: () => void): () => void
}

interface Limit {
  readonly dueAt: number
  readonly over: () => void
  /** Its place among the limits; -1 once it is none any more. */
  at: number
}

/**
 * Keeps one timer for all limits: it is set for the first that is due, and looks at them when it fires. So a limit that is
 * taken back costs next to nothing, where a timer of its own would cost as much as sending the command.
 *
 * The timer does not keep the process alive: what is limited does.
 */
export function timeLimits(timers: Timers, monotonic: () => number): TimeLimits {
  // A set would make a hash of each.
  const limits: Limit[] = []
  let firesAt = Infinity
  let cancel = () => {}

  const set = (dueAt: number, now: number) => {
    cancel()
    firesAt = dueAt
    cancel = timers.after(Math.max(0, dueAt - now), fire, { background: true })
  }
  const forget = (limit: Limit) => {
    const { at } = limit
    if (at < 0) return
    limit.at = -1
    const last = limits.pop()
    if (last === undefined || last === limit) return
    limits[at] = last
    last.at = at
  }
  const fire = () => {
    firesAt = Infinity
    const now = monotonic()
    let next = Infinity
    const due: Limit[] = []
    for (const limit of limits) {
      if (limit.dueAt > now) next = Math.min(next, limit.dueAt)
      else due.push(limit)
    }
    due.sort((one, other) => one.dueAt - other.dueAt)
    for (const limit of due) {
      // One that was due before may have taken this one back.
      if (limit.at < 0) continue
      forget(limit)
      limit.over()
    }
    if (next < firesAt) set(next, now)
  }
  return {
    after(ms, over) {
      const now = monotonic()
      const limit: Limit = { dueAt: now + ms, over, at: limits.length }
      limits.push(limit)
      if (limit.dueAt < firesAt) set(limit.dueAt, now)
      return () => forget(limit)
    },
  }
}
