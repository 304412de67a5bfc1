import type { Schedule } from './cron-types.ts'

/** Which ticks are due. */
export interface DueTicks {
  /** To be run, oldest first. */
  readonly ticks: readonly number[]
  /** The newest one that is not. */
  readonly dropped?: number
}

/** How missed ticks are treated. */
export interface MissedPolicy {
  readonly missed: 'skip' | 'latest' | 'all'
  readonly maxMissed: number
  readonly graceMs: number
}

/**
 * The ticks after `cursor` and up to `now` that are to be run.
 *
 * @param cursor - The last tick that is settled.
 */
export function dueTicks(schedule: Schedule, cursor: number, now: number, policy: MissedPolicy): DueTicks {
  const { missed, maxMissed, graceMs } = policy
  const most = missed === 'all' ? maxMissed : 1
  const found = newestTicks(schedule, cursor, now, most + 1)
  const fits = found.slice(-most)
  const late = missed === 'skip' && fits.every((tick) => tick <= now - graceMs)
  const ticks = late ? [] : fits
  const dropped = found.at(-1 - ticks.length)
  return { ticks, ...(dropped === undefined ? {} : { dropped }) }
}

/** The last tick up to `now`. Looks back ten years. */
export function latestTick(schedule: Schedule, now: number): number | undefined {
  return newestTicks(schedule, now - TEN_YEARS_MS, now, 1)[0]
}

/**
 * At most `most` ticks after `after` and up to `until`, the newest ones, oldest first. Looks back in steps that double, so
 * that a dense schedule after a long time costs about as many questions as ticks are wanted.
 */
function newestTicks(schedule: Schedule, after: number, until: number, most: number): readonly number[] {
  for (let backMs = FIRST_STEP_MS; ; backMs *= 2) {
    const from = Math.max(after, until - backMs)
    const found: number[] = []
    let at = schedule.next(new Date(from))?.getTime()
    while (at !== undefined && at <= until) {
      found.push(at)
      const next = schedule.next(new Date(at))?.getTime()
      if (next !== undefined && next <= at) throw new TypeError('a schedule must answer times that are later')
      at = next
    }
    if (found.length >= most || from <= after) return found.slice(-most)
  }
}

const FIRST_STEP_MS = 2000

const TEN_YEARS_MS = 3650 * 86_400_000
