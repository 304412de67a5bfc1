import { randomFillSync } from 'node:crypto'
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
  nonce() {
    if (spent >= spare.length) {
      spare = randomFillSync(Buffer.alloc(NONCE_BYTES * SPARE_NONCES))
      spent = 0
    }
    const from = spent
    spent += NONCE_BYTES
    return spare.toString('base64url', from, spent)
  },
  fraction: () => Math.random(),
}

const NONCE_BYTES = 18

/** Asked for one by one, random bytes cost a tenth of an operation. */
const SPARE_NONCES = 128

// Random bytes that no nonce has been made of yet; each is used once.
let spare = Buffer.alloc(0)
let spent = 0

/** `setTimeout` fires at once for anything longer. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1
