import { tell as tellOne } from '../core/observer.ts'
import type { SafeRedisEvent, SafeRedisOptions } from './retry-types.ts'

/** Counts what happens and tells those who listen. */
export interface RetryEvents {
  retry(command: string, attempt: number, error: unknown): void
  replay(command: string, attempt: number): void
  ambiguous(command: string, error: unknown): void
  on(type: SafeRedisEvent['type'], listener: (event: SafeRedisEvent) => void): () => void
  readonly counts: Readonly<Record<SafeRedisEvent['type'], number>>
}

/** Makes counters at zero. */
export function retryEvents(observer: SafeRedisOptions['observer']): RetryEvents {
  const counts = { retry: 0, replay: 0, ambiguous: 0 }
  const listeners = new Map<SafeRedisEvent['type'], Set<(event: SafeRedisEvent) => void>>()
  const tell = (event: SafeRedisEvent) => {
    counts[event.type]++
    for (const listener of [observer, ...(listeners.get(event.type) ?? [])]) tellOne(listener, event)
  }
  return {
    retry: (command, attempt, error) => tell({ type: 'retry', command, attempt, error }),
    replay: (command, attempt) => tell({ type: 'replay', command, attempt }),
    ambiguous: (command, error) => tell({ type: 'ambiguous', command, error }),
    on(type, listener) {
      if (!Object.hasOwn(counts, type) || typeof listener !== 'function') {
        throw new TypeError(
          `on needs one of ${Object.keys(counts).join(', ')} and a function, not ${String(type)}`,
        )
      }
      const own = listeners.get(type) ?? new Set()
      // One function may be added twice, and each is removed by itself.
      const entry = (event: SafeRedisEvent) => listener(event)
      listeners.set(type, own.add(entry))
      return () => void own.delete(entry)
    },
    counts,
  }
}
