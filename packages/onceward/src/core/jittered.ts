import type { Random } from './clock.ts'

/**
 * Moves a pause of `ms` at random, so that those who wait for the same thing do not come back in step. The average stays.
 *
 * @param spread - How far it may move either way, as a part of `ms`. Default a half.
 */
export function jittered(random: Random, ms: number, spread = 0.5): number {
  return ms * (1 - spread + 2 * spread * random.fraction())
}
