/** Pauses that grow, in ms. */
export interface BackOff {
  readonly first: number
  /** The longest. */
  readonly most: number
  /** How many times as long each is as the one before. Default 2. */
  readonly factor?: number
}

/** The pause after so many others, without jitter: `first` after none. Never more than `most`, however many there were. */
export function backOffMs({ first, most, factor = 2 }: BackOff, pauses: number): number {
  // Never infinite: zero times that is no number.
  return Math.min(most, first * Math.min(factor ** pauses, Number.MAX_VALUE))
}
