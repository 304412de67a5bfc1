import { backOffMs } from '../../core/back-off.ts'
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

/** The longest that a pause may be, in ms: each is a random part of it. */
const PAUSES = { initialMs: 4, maxMs: 200 }

/** Runs `body` until it succeeds, fails for good, or has been tried often enough. The pauses grow, with jitter. */
export async function retrying<T>(how: Retrying, body: (attempt: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await body(attempt)
    } catch (error) {
      if (attempt >= how.tries || !how.isTransient(error)) throw error
    }
    await pause(how, backOffMs(PAUSES, attempt - 1) * how.random.fraction())
  }
}
