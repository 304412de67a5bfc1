import type { Once } from 'onceward'
import type { Logger } from 'pino'
import type { CatalogStore } from '../store/catalog-store.ts'

/** How often a pass is made, in ms; each gateway waits up to half as long again, so that several do not march in step. */
const EVERY_MS = 3000

/** The most expired records one pass removes in one batch. */
const PURGE_BATCH = 500

/** The background work of a gateway. */
export interface HealingLoop {
  /** Starts no further pass, and resolves when the running one has ended. */
  stop(): Promise<void>
}

/**
 * Makes lapsed claims held, asks about held ones, and removes expired records, again and again.
 * Several gateways on one store may do so at once: each step is granted to one of them.
 */
export function startHealing(once: Once, store: CatalogStore, log: Logger): HealingLoop {
  let stopped = false
  let timer: NodeJS.Timeout
  let pass: Promise<void> = Promise.resolve()
  const run = async (): Promise<void> => {
    try {
      const { swept, settled } = await once.heal()
      if (swept > 0)
        log.warn(
          { count: swept },
          'claims lapsed without an outcome and are held; see onceward ls --state held',
        )
      if (settled > 0) log.info({ count: settled }, 'held operations settled by reconcile')
      // A full batch means that there is more; a pause between batches lets requests through.
      for (let purged = PURGE_BATCH; purged === PURGE_BATCH && !stopped; ) {
        purged = await store.purge(PURGE_BATCH)
        await new Promise((resolve) => setImmediate(resolve))
      }
    } catch (error) {
      log.warn({ err: error }, 'the background pass over the store failed; it is tried again')
    }
  }
  const plan = (): void => {
    if (stopped) return
    timer = setTimeout(
      () => {
        pass = run().finally(plan)
      },
      EVERY_MS * (1 + Math.random() / 2),
    )
    timer.unref()
  }
  plan()
  return {
    stop() {
      stopped = true
      clearTimeout(timer)
      return pass
    },
  }
}
