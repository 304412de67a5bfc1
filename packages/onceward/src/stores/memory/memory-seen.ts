import type { Clock } from '../../core/clock.ts'
import type { SeenItems } from '../../core/seen-items.ts'
import { actInTurns } from './in-turns.ts'

/** Remembers items in this process's memory. */
export function memorySeen(clock: Clock): SeenItems {
  const items = new Map<string, { readonly markId: string; expiresAt: number }>()

  return {
    async mark({ digests, markId, windowMs, sliding }) {
      const now = clock.now()
      return digests.map((digest) => {
        const found = items.get(digest)
        if (found === undefined || found.expiresAt <= now) {
          items.set(digest, { markId, expiresAt: now + windowMs })
          return true
        }
        if (sliding) found.expiresAt = now + windowMs
        return found.markId === markId
      })
    },
    async forget(digests) {
      const now = clock.now()
      return digests.map((digest) => {
        const found = items.get(digest)
        items.delete(digest)
        return found !== undefined && found.expiresAt > now
      })
    },
    async purge(limit) {
      const now = clock.now()
      return actInTurns(items, limit, ([digest, { expiresAt }]) => expiresAt <= now && items.delete(digest))
    },
  }
}
