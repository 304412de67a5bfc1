import type { Clock, Random, Timers } from '../../core/clock.ts'
import { atLeast, refuseUnknown, wholeNumber, written } from '../../core/known-fields.ts'

/** When a commit counts as safe. */
export type Synchronous = 'full' | 'normal'

/** Options of `sqliteStore`. */
export interface SqliteStoreOptions {
  /**
   * When a commit counts as safe. `full` (the default): it has reached the disk, and survives a power cut. `normal`: it
   * survives a crash of the process, but a power cut or a crash of the machine may undo the last commits, so that an
   * operation that was answered can run again. On a given handle it sets the level of the whole connection.
   */
  readonly synchronous?: Synchronous
  /** How long a write waits for the write lock of other connections, in ms. Default 5,000. The event loop goes on meanwhile. */
  readonly busyTimeoutMs?: number
  /**
   * The most transitions of concurrent callers that are committed together. Default 512. A larger number lets the event
   * loop turn less often; 1 gives every transition a commit of its own.
   */
  readonly maxBatch?: number
  /** Whether the first use brings the schema up to date. Default: true for a path, false for a given handle. */
  readonly autoMigrate?: boolean
  /** Whether a missing file is created. Default true. */
  readonly create?: boolean
  readonly clock?: Clock
  readonly timers?: Timers
  readonly random?: Random
}

const FIELDS: Readonly<Record<keyof SqliteStoreOptions, true>> = {
  synchronous: true,
  busyTimeoutMs: true,
  maxBatch: true,
  autoMigrate: true,
  create: true,
  clock: true,
  timers: true,
  random: true,
}

/** The options that are checked, with their defaults. @throws `TypeError` naming what is wrong. */
export function checkedOptions(options: SqliteStoreOptions): {
  readonly synchronous: Synchronous
  readonly busyTimeoutMs: number
  readonly maxBatch: number
} {
  refuseUnknown('sqliteStore', options, Object.keys(FIELDS))
  return {
    synchronous: checkedSynchronous(options.synchronous),
    busyTimeoutMs: atLeast('busyTimeoutMs', options.busyTimeoutMs ?? 5000, 0),
    maxBatch: wholeNumber('maxBatch', options.maxBatch ?? 512, 1),
  }
}

function checkedSynchronous(synchronous: Synchronous = 'full'): Synchronous {
  if (synchronous === 'full' || synchronous === 'normal') return synchronous
  throw new TypeError(`synchronous must be full or normal, not ${written(synchronous)}`)
}
