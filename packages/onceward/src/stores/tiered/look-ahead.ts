import type { KeptEntry, OperationCache } from '../../core/operation-cache.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'

/** The most digests of one question. */
const MAX_BATCH = 256

/** Asks the cache about one digest; the questions of one turn of the event loop go together. Never rejects. */
export type Look = (digest: string) => Promise<KeptEntry | undefined>

/** Makes the looking side of a cache. Equal questions of one turn are one. */
export function lookAhead(cache: OperationCache, breaker: CircuitBreaker): Look {
  let asked = new Map<string, ((kept: KeptEntry | undefined) => void)[]>()
  const send = async (batch: typeof asked) => {
    const digests = [...batch.keys()]
    const found = await breaker.call(async () => {
      const kept = await cache.look(digests)
      if (!Array.isArray(kept) || kept.length !== digests.length)
        throw new TypeError('the cache answered something else than what it was asked')
      return kept as readonly (KeptEntry | undefined)[]
    })
    digests.forEach((digest, index) => {
      for (const answer of batch.get(digest) ?? []) answer(found?.value[index] ?? undefined)
    })
  }
  const flush = () => {
    const batch = asked
    if (batch.size === 0) return
    asked = new Map()
    void send(batch)
  }
  return (digest) => {
    if (!breaker.isClosed()) {
      // Counted there as skipped.
      void breaker.call(nothing)
      return Promise.resolve(undefined)
    }
    return new Promise((resolve) => {
      if (asked.size === 0) setImmediate(flush)
      const others = asked.get(digest)
      if (others) others.push(resolve)
      else asked.set(digest, [resolve])
      if (asked.size >= MAX_BATCH) flush()
    })
  }
}

async function nothing(): Promise<void> {}
