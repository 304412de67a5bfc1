import type { OperationCatalog, OperationStore } from 'onceward'
import type { TieredStore } from 'onceward/tiered'

/** A migration that is not applied yet. */
export interface PendingMigration {
  readonly name: string
  readonly sql: string
}

/** A store the gateway and the commands can work with. */
export interface CatalogStore extends OperationStore, OperationCatalog {
  /** The migrations that are not applied yet; absent where there is no schema. */
  plan?(): Promise<readonly PendingMigration[]>
  /** How the cache fares; absent without one. */
  cacheState?: TieredStore<OperationStore>['cacheState']
}

/** How a store is opened. */
export interface OpenOptions {
  /** Makes the file and its folder when they are not there. Without it, a missing file is an error. */
  readonly create: boolean
  /** Told of a folder that had to be made for the file. */
  readonly onFolderMade?: (folder: string) => void
  /** Told, in one line without credentials, when a connection is lost and when it is back. */
  readonly onConnection?: (state: 'lost' | 'back', message: string) => void
}

/** The same store, closed together with what it was opened on. */
export function closingToo(store: CatalogStore, end: () => Promise<unknown>): CatalogStore {
  let ended: Promise<void> | undefined
  return {
    ...store,
    close() {
      ended ??= store.close().finally(() => atMost(CLOSE_MS, end()))
      return ended
    },
  }
}

/** How long saying goodbye to a server may take, in ms: one that is gone never answers. */
const CLOSE_MS = 1000

async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work.catch(() => {}), late])
  clearTimeout(timer)
}
