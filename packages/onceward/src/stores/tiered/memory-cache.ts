import type { Clock } from '../../core/clock.ts'
import { refuseUnknown } from '../../core/known-fields.ts'
import type { KeptEntry, OperationCache } from '../../core/operation-cache.ts'
import { systemClock } from '../../core/system.ts'
import { createWaitingRoom } from '../../core/waiting-room.ts'

/** Options of {@link memoryCache}. */
export interface MemoryCacheOptions {
  /** The clock by which entries end. Default: the clock of this machine. */
  readonly clock?: Clock
  /** The most entries kept; the oldest go first. Default 10,000. */
  readonly maxEntries?: number
}

/**
 * Keeps entries in this process's memory, for tests and for several stores in one process.
 *
 * Limit: no other process sees them. Use Redis to share them.
 */
export function memoryCache(options: MemoryCacheOptions = {}): OperationCache {
  refuseUnknown('memoryCache', options, ['clock', 'maxEntries'])
  const { clock = systemClock, maxEntries = 10_000 } = options
  const kept = new Map<string, { readonly bytes: Uint8Array; readonly until: number }>()
  const room = createWaitingRoom()
  const read = (digest: string): KeptEntry | undefined => {
    const entry = kept.get(digest)
    if (entry === undefined) return undefined
    const remainingMs = entry.until - clock.now()
    if (remainingMs > 0) return { bytes: Uint8Array.from(entry.bytes), remainingMs }
    kept.delete(digest)
    return undefined
  }
  return {
    async look(digests) {
      return digests.map(read)
    },
    async keep(entries) {
      for (const { digest, bytes, ttlMs } of entries) {
        kept.delete(digest)
        kept.set(digest, { bytes: Uint8Array.from(bytes), until: clock.now() + ttlMs })
      }
      for (const oldest of kept.keys()) {
        if (kept.size <= maxEntries) break
        kept.delete(oldest)
      }
    },
    async forget(digests) {
      for (const digest of digests) kept.delete(digest)
    },
    async wake(digests) {
      for (const digest of digests) room.wake(digest)
    },
    watch: (digest, signal) => room.wait(digest, signal),
    async close() {
      room.wakeAll()
    },
  }
}
