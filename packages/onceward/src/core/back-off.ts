/** Pauses that grow. */
export interface BackOff {
  readonly initialMs: number
  /** The longest. */
  readonly maxMs: number
  /** How many times as long each is as the one before. Default 2. */
  readonly factor?: number
}

/** The pause after so many others, without jitter: `initialMs` after none. Never more than `maxMs`, however many there were. */
export function backOffMs({ initialMs, maxMs, factor = 2 }: BackOff, pauses: number): number {
  // Never infinite: zero times that is no number.
  return Math.min(maxMs, initialMs * Math.min(factor ** pauses, Number.MAX_VALUE))
}
