import { nextTurn } from '../../core/next-turn.ts'
import type { EntryToKeep, OperationCache } from '../../core/operation-cache.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'

/** What is to be told to the cache about one operation. */
export interface Item {
  readonly digest: string
  /** Keep these bytes. */
  readonly entry?: { readonly bytes: Uint8Array; readonly ttlMs: number }
  /** Drop what is kept. */
  readonly forget?: true
  /** Wake those who watch. */
  readonly wake?: true
}

/** Tells the cache what has happened, behind the back of the callers. */
export interface News {
  /** Never waits and never throws. What cannot be told is dropped. */
  tell(item: Item): void
  /** Resolves when what was told so far has been sent or given up. */
  settled(): Promise<void>
}

/** The most items, and the most bytes of entries, that wait; what comes beyond is dropped. */
const MAX_WAITING = 4096
const MAX_WAITING_BYTES = 8 * 1024 * 1024

/**
 * Makes the telling side of a cache: one batch at a time, what comes meanwhile goes together. Entries go before wakes,
 * so that whoever is woken finds them.
 */
export function news(cache: OperationCache, breaker: CircuitBreaker): News {
  let waiting: Item[] = []
  let waitingBytes = 0
  let sending: Promise<void> | undefined

  const send = async (items: readonly Item[]) => {
    const latest = new Map<string, EntryToKeep>()
    const forgotten = new Set<string>()
    const woken = new Set<string>()
    for (const { digest, entry, forget, wake } of items) {
      if (entry) {
        latest.set(digest, { digest, ...entry })
        forgotten.delete(digest)
      }
      if (forget) {
        latest.delete(digest)
        forgotten.add(digest)
      }
      if (wake) woken.add(digest)
    }
    if (forgotten.size > 0) await breaker.call(() => cache.forget([...forgotten]))
    if (latest.size > 0) await breaker.call(() => cache.keep([...latest.values()]))
    if (woken.size > 0) await breaker.call(() => cache.wake([...woken]))
  }
  const run = async () => {
    await nextTurn()
    while (waiting.length > 0) {
      const items = waiting
      waiting = []
      waitingBytes = 0
      await send(items)
    }
    sending = undefined
  }
  return {
    tell(item) {
      if (waiting.length >= MAX_WAITING || waitingBytes > MAX_WAITING_BYTES || !breaker.isClosed()) return
      waitingBytes += item.entry?.bytes.byteLength ?? 0
      waiting.push(item)
      sending ??= run()
    },
    settled: () => sending ?? Promise.resolve(),
  }
}
