import type { Random } from '../core/clock.ts'
import { jittered } from '../core/jittered.ts'

/** The pause after the first attempt, in ms; it doubles with each, up to the longest. */
const FIRST_MS = 10
const LONGEST_MS = 500

/** How long to pause after an attempt, in ms, moved at random by up to a half. */
export function retryPauseMs(random: Random, attempt: number): number {
  return jittered(random, Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt - 1, 10)))
}
