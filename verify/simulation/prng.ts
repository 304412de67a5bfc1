/** A seeded source of pseudo-random numbers: the same seed draws the same numbers on every machine. */
export interface Prng {
  /** A number from 0 up to, not including, 1. */
  fraction(): number
  /** A whole number from 0 up to, not including, `below`. */
  int(below: number): number
  /** A number from `least` up to `most`. */
  between(least: number, most: number): number
  /** True with this probability. */
  chance(probability: number): boolean
  /** One of the given. */
  pick<T>(from: readonly [T, ...T[]]): T
}

/**
 * Makes a source from a seed (splitmix32 over a 32-bit state).
 *
 * Limit: for simulations only; nothing here is unpredictable.
 */
export function createPrng(seed: number): Prng {
  let state = seed | 0
  const fraction = () => {
    state = (state + 0x9e3779b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }
  return {
    fraction,
    int: (below) => Math.floor(fraction() * below),
    between: (least, most) => least + fraction() * (most - least),
    chance: (probability) => fraction() < probability,
    pick<T>(from: readonly [T, ...T[]]): T {
      return from[Math.floor(fraction() * from.length)] ?? from[0]
    },
  }
}
