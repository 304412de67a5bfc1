import type { Clock, Random, Timers } from '../../core/clock.ts'
import type { SqliteConnection } from '../../drivers/sqlite/index.ts'

/** What the parts of one store share. */
export interface StoreContext {
  /** The connection that the store itself writes on. */
  readonly connection: SqliteConnection
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** How long a write waits for the write lock of others, in ms. */
  readonly busyTimeoutMs: number
  /** The most transitions in one transaction, so that the event loop is not held up for long. */
  readonly maxBatch: number
  isClosed(): boolean
}
