import type { Random, Timers } from '../core/clock.ts'
import { isOncewardError, OncewardError } from '../core/errors.ts'
import { jittered } from '../core/jittered.ts'
import { pause } from '../core/pause.ts'

/** How calls are repeated. */
export interface Repeating {
  readonly retries: number
  readonly timers: Timers
  readonly random: Random
  onRetry(): void
}

/** The pause before the first repetition, in ms; each later one is four times as long. */
const FIRST_PAUSE_MS = 50

/**
 * Asks the store, again where it has not answered: repeating a mark gets the same answer.
 *
 * @param isList - Whether the call has several items: some may be marked when the store has no room for the others.
 * @throws `STORE_UNAVAILABLE` with effect unknown where it has never answered: a question that was lost may have been carried out;
 * `STORE_FULL`, with effect none for a single item that was asked about once.
 */
export async function askStore<T>(repeating: Repeating, isList: boolean, ask: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await ask()
    } catch (error) {
      if (isOncewardError(error, 'STORE_FULL') && (isList || attempt > 0)) throw unanswered(error)
      if (!isOncewardError(error, 'STORE_UNAVAILABLE')) throw error
      if (attempt >= repeating.retries) throw unanswered(error)
    }
    repeating.onRetry()
    await pause(repeating, jittered(repeating.random, FIRST_PAUSE_MS * 4 ** Math.min(attempt, 4)))
  }
}

function unanswered(error: OncewardError): OncewardError {
  const { code, message, retryAfterMs = 1000 } = error
  const mend =
    'items of this call may be marked already; ask again with the same markId, or forget them before they are sent again'
  return new OncewardError(code, `${message}; ${mend}`, {
    cause: error,
    effect: 'unknown',
    retryAfterMs,
  })
}
