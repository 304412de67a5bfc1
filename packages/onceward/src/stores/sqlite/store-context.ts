import type { SqliteContext } from '../../drivers/sqlite/index.ts'

/** What the parts of one store share. */
export interface StoreContext extends SqliteContext {
  /** The most transitions in one transaction, so that the event loop is not held up for long. */
  readonly maxBatch: number
}
