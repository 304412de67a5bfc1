import { randomBytes } from 'node:crypto'
import type { Clock, Random, Timers } from './clock.ts'

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}

/** The timers of this process. */
export const systemTimers: Timers = {
  after(delayMs, callback, options) {
    const timer = setTimeout(callback, Math.min(delayMs, MAX_TIMEOUT_MS))
    if (options?.background) timer.unref()
    return () => clearTimeout(timer)
  },
}

/** Randomness from the operating system. */
export const systemRandom: Random = {
  nonce: () => randomBytes(18).toString('base64url'),
  fraction: () => Math.random(),
}

/** `setTimeout` fires at once for anything longer. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1
