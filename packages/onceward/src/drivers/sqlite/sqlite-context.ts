import type { Clock, Random, Timers } from '../../core/clock.ts'
import type { SqliteConnection } from './sqlite-connection.ts'

/** A connection, and how it is used. */
export interface SqliteContext {
  readonly connection: SqliteConnection
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** How long a write waits for the write lock of others, in ms. */
  readonly busyTimeoutMs: number
  isClosed(): boolean
}
