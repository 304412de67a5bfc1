import { backOffMs } from '../core/back-off.ts'
import type { Random } from '../core/clock.ts'
import { jittered } from '../core/jittered.ts'

/** The pause after the first attempt, in ms; it doubles with each, up to the longest. */
const PAUSES = { initialMs: 10, maxMs: 500 }

/** How long to pause after an attempt, in ms, moved at random by up to a half. */
export function retryPauseMs(random: Random, attempt: number): number {
  return jittered(random, backOffMs(PAUSES, attempt - 1))
}
