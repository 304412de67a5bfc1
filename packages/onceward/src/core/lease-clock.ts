import type { Clock } from './clock.ts'

/** Both clocks at one moment. */
export interface Reading {
  readonly now: number
  readonly monotonic: number
}

/** Reads both clocks. */
export function readClock({ clock }: { readonly clock: Clock }): Reading {
  return { now: clock.now(), monotonic: clock.monotonic() }
}

/**
 * How long a process may count on a lease, in ms: 2 % and 2 ms less than was granted, for clocks that run at different speeds.
 * Clocks of one data centre differ by far less; a virtual machine that is suspended is noticed by the wall clock.
 *
 * @param drift - What the other side asks for beyond that, as a part of the lease. Default 0.
 */
export function countOnMs(leaseMs: number, drift = 0): number {
  return leaseMs - (leaseMs * (0.02 + drift) + 2)
}

/** The time since a reading, in ms, by whichever clock has moved further. */
export function sinceMs({ clock }: { readonly clock: Clock }, reading: Reading): number {
  return Math.max(clock.now() - reading.now, clock.monotonic() - reading.monotonic)
}
