import type { Clock } from './clock.ts'
import { kindOf } from './known-fields.ts'
import type { Outcome } from './operation.ts'

/** A finished outcome and until when it may be told without asking the store. */
export interface KnownOutcome {
  readonly outcome: Outcome
  /** Fingerprint of the input it belongs to; absent when none was given. */
  readonly fingerprint: string | undefined
  /** On the monotonic clock, in ms. */
  readonly expiresAt: number
}

/** Finished outcomes by digest, least recently used ones dropped first. */
export interface OutcomeCache {
  /** Answers an outcome only for the very same input: any other case is the store's to decide. */
  get(digest: string, fingerprint: string | undefined): KnownOutcome | undefined
  put(digest: string, known: KnownOutcome): void
}

/** Limits of an {@link OutcomeCache}. */
export interface CacheLimits {
  /** Default 1,000. */
  readonly maxEntries?: number
  /** Default 8 MiB of encoded values. */
  readonly maxBytes?: number
}

/** What an entry weighs beside its value, in bytes. */
const ENTRY_BYTES = 200

/**
 * Makes a cache. It is right to keep outcomes because a done record never changes until it expires.
 */
export function createOutcomeCache(clock: Clock, limits: false | CacheLimits = {}): OutcomeCache {
  if (limits === false) return { get: () => undefined, put: () => {} }
  if (typeof limits !== 'object' || limits === null)
    throw new TypeError(`cache must be false or { maxEntries, maxBytes }, not ${kindOf(limits)}`)
  const { maxEntries = 1000, maxBytes = 8 * 1024 * 1024 } = limits
  const entries = new Map<string, KnownOutcome>()
  let bytes = 0
  const drop = (digest: string) => {
    const known = entries.get(digest)
    if (known && entries.delete(digest)) bytes -= weight(known.outcome)
  }
  return {
    get(digest, fingerprint) {
      const known = entries.get(digest)
      if (known === undefined) return undefined
      if (clock.monotonic() >= known.expiresAt) {
        drop(digest)
        return undefined
      }
      if (known.fingerprint !== fingerprint) return undefined
      entries.delete(digest)
      entries.set(digest, known)
      return known
    },
    put(digest, known) {
      drop(digest)
      if (weight(known.outcome) > maxBytes) return
      entries.set(digest, known)
      bytes += weight(known.outcome)
      for (const oldest of entries.keys()) {
        if (entries.size <= maxEntries && bytes <= maxBytes) break
        drop(oldest)
      }
    },
  }
}

function weight(outcome: Outcome): number {
  switch (outcome.kind) {
    case 'value':
      return ENTRY_BYTES + outcome.value.byteLength
    case 'failure':
      return ENTRY_BYTES + 2 * outcome.failure.message.length
    case 'unreplayable':
      return ENTRY_BYTES + (outcome.note?.byteLength ?? 0)
  }
}
