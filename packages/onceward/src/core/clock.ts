/** Reads the time. Both readings are in ms. */
export interface Clock {
  /** Wall-clock time since the epoch. */
  now(): number
  /** Time from an arbitrary start that is never set back. */
  monotonic(): number
}

/** Starts and stops timers. */
export interface Timers {
  /**
   * Calls `callback` once after at least `delayMs`; answers a function that cancels it.
   * A `background` timer does not keep the process alive.
   */
  after(delayMs: number, callback: () => void, options?: { readonly background?: boolean }): () => void
}

/** Draws random text. */
export interface Random {
  /** At least 128 random bits, URL-safe. */
  nonce(): string
  /** A number from 0 up to, not including, 1, for jitter. */
  fraction(): number
}
