import { MAX_MARKED } from '../core/seen-items.ts'
import { gatherer } from '../drivers/sql/index.ts'

/** Sights of single items, sent together. */
export interface SingleSights {
  /** Whether the item is new. */
  sight(digest: string): Promise<boolean>
  /** Whoever sees one of these from now on asks the store. */
  forget(digests: readonly string[]): void
}

/** So many calls of the store are on their way at the same time. */
const MAX_IN_FLIGHT = 4

/**
 * Gathers the sights of one turn of the event loop. While an item is on its way, further sights of it in this process wait for
 * that answer: whatever it is, they come after it and are not the first. Where it fails, so do they.
 */
export function singleSights(
  mark: (digests: readonly string[]) => Promise<readonly boolean[]>,
): SingleSights {
  const underway = new Map<string, Promise<boolean>>()
  const gathered = gatherer<undefined, boolean>({
    maxBatch: MAX_MARKED,
    maxInFlight: MAX_IN_FLIGHT,
    async send(batch) {
      const answers = await mark(batch.map(({ key }) => key))
      batch.forEach(({ resolve }, place) => {
        resolve(answers[place] === true)
      })
    },
  })

  return {
    async sight(digest) {
      const before = underway.get(digest)
      if (before !== undefined) {
        await before
        return false
      }
      const asked = gathered.call(digest, undefined)
      underway.set(digest, asked)
      try {
        return await asked
      } finally {
        if (underway.get(digest) === asked) underway.delete(digest)
      }
    },
    forget(digests) {
      for (const digest of digests) underway.delete(digest)
    },
  }
}
