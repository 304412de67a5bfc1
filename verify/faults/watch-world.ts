import { operationId } from 'onceward'
import { monotonicMs } from './harness/event-log.ts'
import { watchLag } from './harness/lag-watch.ts'
import type { CataloguedStore } from './library.ts'
import type { Note } from './tap.ts'

/** How often the store is asked, in ms. */
const PAUSE_MS = 20

/**
 * Asks the store for nothing that matters, past all faults of the network, and measures how long that takes, and how long this
 * process, in which the sink is, was kept from running. What the world itself takes is not the library's.
 */
export function watchWorld(store: CataloguedStore, note: Note): () => Promise<void> {
  const lag = watchLag()
  const id = operationId('watch', 'world')
  let isOver = false
  let longestMs = 0
  const asking = (async () => {
    while (!isOver) {
      const sent = monotonicMs()
      await store.get(id).catch(() => {})
      longestMs = Math.max(longestMs, monotonicMs() - sent)
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  })()
  return async () => {
    isOver = true
    await asking
    note({ k: 'lag', ms: Math.max(lag(), Math.round(longestMs)), lifeMs: 0 })
  }
}
