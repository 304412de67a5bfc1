import type { Clock } from '../../core/clock.ts'

/** What was told of a lock, for a token that has something to do with it. */
export interface Sighting {
  /** The record as it was then. */
  readonly record: string
  /** Of a grant: the server's clock as it was given, in ms, and for how long. */
  readonly grant?: { readonly now: number; readonly ttlMs: number; readonly sentAt: number }
}

/** What a step can be told of the lock beforehand. */
export interface Expectation {
  readonly record: string
  /** A moment on the server's clock that has passed, at which the lock had certainly not lapsed. */
  readonly since?: number
}

/** Remembers for a second what was told of locks, so that the next step can be decided on it. */
export interface Sightings {
  remember(token: string, sighting: Sighting): void
  /** What was told of the lock for this token; once. */
  take(token: string): Expectation | undefined
  clear(): void
}

/** Older ones are likely to be wrong, and a server's clock may have been set meanwhile. */
const FRESH_MS = 1000

/** Clocks may run apart by so much. */
const DRIFT = 0.01

/** Makes an empty memory. It never holds more than what was told within a second, or before the last thing told. */
export function sightings(clock: Clock): Sightings {
  const seen = new Map<string, Sighting & { readonly at: number }>()
  return {
    remember(token, sighting) {
      const at = clock.monotonic()
      for (const [other, old] of seen) {
        if (at - old.at <= FRESH_MS) break
        seen.delete(other)
      }
      // Deleted first, so that the oldest stays in front.
      seen.delete(token)
      seen.set(token, { ...sighting, at })
    },
    take(token) {
      const found = seen.get(token)
      if (found === undefined) return undefined
      seen.delete(token)
      const { record, grant, at } = found
      const now = clock.monotonic()
      if (now - at > FRESH_MS) return undefined
      // Half of the lease is far enough from its end, whatever the clocks do.
      if (grant === undefined || now - grant.sentAt > grant.ttlMs / 2) return { record }
      return { record, since: Math.floor(grant.now + (now - at) * (1 - DRIFT)) }
    },
    clear: () => seen.clear(),
  }
}
