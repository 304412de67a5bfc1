import type { Clock, Random, Timers } from '../../core/clock.ts'
import type { MysqlDriver } from '../../drivers/mysql/index.ts'
import type { RecordTable } from './record-table.ts'

/** What the parts of one store share. */
export interface StoreContext {
  readonly driver: MysqlDriver
  readonly table: RecordTable
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** How long a claim inside a transaction waits for another one, in ms. */
  readonly lockTimeoutMs: number
  /** How long the server may leave a call unanswered, in ms. */
  readonly queryTimeoutMs: number
  /** The most calls in one statement. */
  readonly maxBatch: number
  /** The most statements of one kind at once. */
  readonly maxInFlight: number
  /** The most bytes that the server takes in one statement. */
  maxPacket(): number
  /** Wakes those who wait for a record that this process has changed. */
  onChanged(digest: string): void
  isClosed(): boolean
}
