import type { Random, Timers } from '../../core/clock.ts'
import { pause } from '../../core/pause.ts'

/** How often and how soon something is tried again. */
export interface Retrying {
  readonly timers: Timers
  readonly random: Random
  /** The most tries, the first one included. */
  readonly tries: number
  /** Whether trying again may go better: a deadlock, a serialization failure. */
  isTransient(error: unknown): boolean
}

const FIRST_PAUSE_MS = 2
const LONGEST_PAUSE_MS = 200

/** Runs `body` until it succeeds, fails for good, or has been tried often enough. The pauses grow, with jitter. */
export async function retrying<T>(how: Retrying, body: (attempt: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await body(attempt)
    } catch (error) {
      if (attempt >= how.tries || !how.isTransient(error)) throw error
    }
    const most = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt)
    await pause(how, most * how.random.fraction())
  }
}
