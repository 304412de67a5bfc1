import type { Clock, Timers } from '../core/clock.ts'
import { countOnMs, readClock, sinceMs } from '../core/lease-clock.ts'
import type { Attempt } from './attempt.ts'
import { renewTasks } from './claim-work.ts'
import type { TaskLedger } from './task-ledger.ts'

/** What renewing leases needs. */
export interface LeaseParts {
  readonly ledger: TaskLedger
  readonly clock: Clock
  readonly timers: Timers
  readonly leaseMs: number
  /** Told once of each attempt that may be another's by now. */
  lost(attempt: Attempt, message: string): void
  trouble(error: unknown): void
}

/** The leases of one worker. */
export interface Leases {
  keep(attempt: Attempt): void
  drop(attempt: Attempt): void
  /** Loses an attempt that cannot be counted on any more. Answers whether it is lost. */
  check(attempt: Attempt): boolean
  /** Renews all of them now: also how a worker hears that a task is to be cancelled. */
  beat(): Promise<void>
  stop(): void
}

/** The most leases of one statement. */
const MAX_BEATS = 500

/**
 * Renews the leases of a worker together, every third of a lease, and gives each up at this process's own deadline.
 *
 * ```
 *  claim sent ──▶ given by the database                 lease ends there
 *   │              │                                         │
 *   ├──────────────┼─ leaseMs − drift ──▶ own deadline       │     the deadline counts from *before* the request was
 *   │              └──────────── leaseMs ───────────────────▶│     sent, so it always comes first
 * ```
 *
 * A renewal that is answered moves the deadline to its own sending time; one that fails moves nothing. What was given so late
 * that a third of its lease is over is renewed at once, and so are all where a renewal took so long that the next was due.
 */
export function leases(parts: LeaseParts): Leases {
  const { ledger, clock, timers, leaseMs } = parts
  const validMs = countOnMs(leaseMs)
  const kept = new Set<Attempt>()
  let cancelTimer: (() => void) | undefined
  let beating: Promise<void> | undefined
  /** Whether the next renewal is due while one is on its way. */
  let isDue = false
  /** Whether the timer is set to the next moment. */
  let isSoon = false
  let stopped = false

  const lose = (attempt: Attempt, message: string) => {
    kept.delete(attempt)
    if (attempt.lose(message)) parts.lost(attempt, message)
  }
  const check = (attempt: Attempt): boolean => {
    if (attempt.isLost) return true
    if (sinceMs({ clock }, attempt.granted) < validMs) return false
    lose(attempt, `the lease of task ${attempt.record.id} was not renewed in time; another may be given it`)
    return true
  }
  const renew = async (batch: readonly Attempt[]) => {
    const sent = readClock({ clock })
    try {
      const answer = await renewTasks(
        ledger,
        batch.map(({ record }) => ({
          id: record.id,
          owner: record.owner as string,
          attempt: record.attempt,
          lease: leaseMs,
        })),
      )
      for (const attempt of batch) {
        if (!kept.has(attempt)) continue
        const cancel = answer.get(attempt.record.id)
        if (cancel === undefined) {
          // It was ended by its own word, whose answer is on its way; or that answer says whose it is.
          if (attempt.isEnding) continue
          lose(
            attempt,
            `task ${attempt.record.id} is not this worker's any more: its lease has lapsed, or it was ended`,
          )
          continue
        }
        if (sent.monotonic > attempt.granted.monotonic) attempt.granted = sent
        if (cancel !== null) attempt.stop(`the task is to be cancelled: ${cancel}`)
      }
    } catch (error) {
      parts.trouble(error)
    }
  }
  const beat = async () => {
    const all = [...kept].filter((attempt) => !check(attempt))
    for (let from = 0; from < all.length; from += MAX_BEATS) await renew(all.slice(from, from + MAX_BEATS))
  }
  const tickIn = (ms: number) => {
    cancelTimer?.()
    cancelTimer = timers.after(Math.max(1, ms), tick, { background: true })
  }
  const schedule = () => {
    cancelTimer?.()
    cancelTimer = undefined
    if (stopped || kept.size === 0) return
    let soonestMs = leaseMs / 3
    for (const attempt of kept) soonestMs = Math.min(soonestMs, validMs - sinceMs({ clock }, attempt.granted))
    tickIn(soonestMs)
  }
  function tick(): void {
    isSoon = false
    for (const attempt of [...kept]) check(attempt)
    isDue = beating !== undefined
    if (!isDue) void startBeat()
    schedule()
  }
  function startBeat(): Promise<void> {
    isDue = false
    beating = beat().finally(() => {
      beating = undefined
      if (isDue && !stopped) void startBeat()
    })
    return beating
  }

  return {
    keep(attempt) {
      kept.add(attempt)
      if (!cancelTimer) schedule()
      if (stopped || isSoon || sinceMs({ clock }, attempt.granted) < leaseMs / 3) return
      isSoon = true
      tickIn(1)
    },
    drop(attempt) {
      kept.delete(attempt)
    },
    check,
    async beat() {
      // One that is under way may have been sent before what is asked for now.
      await beating
      await (beating ?? startBeat())
    },
    stop() {
      stopped = true
      cancelTimer?.()
      kept.clear()
    },
  }
}
