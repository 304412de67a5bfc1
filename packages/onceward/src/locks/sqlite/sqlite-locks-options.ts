import type { Clock, Random, Timers } from '../../core/clock.ts'
import { atLeast, refuseUnknown } from '../../core/known-fields.ts'

/** Options of `sqliteLocks`. */
export interface SqliteLocksOptions {
  /** How long a write waits for the write lock of other connections, in ms. Default 5,000. The event loop goes on meanwhile. */
  readonly busyTimeoutMs?: number
  /** Whether the first use brings the schema up to date. Default: true for a path, false for a given handle. */
  readonly autoMigrate?: boolean
  /** Whether a missing file is created. Default true. */
  readonly create?: boolean
  readonly clock?: Clock
  readonly timers?: Timers
  readonly random?: Random
}

const FIELDS: Readonly<Record<keyof SqliteLocksOptions, true>> = {
  busyTimeoutMs: true,
  autoMigrate: true,
  create: true,
  clock: true,
  timers: true,
  random: true,
}

/** The options that are checked, with their defaults. @throws `TypeError` naming what is wrong. */
export function checkedOptions(options: SqliteLocksOptions): { readonly busyTimeoutMs: number } {
  refuseUnknown('sqliteLocks', options, Object.keys(FIELDS))
  return { busyTimeoutMs: atLeast('busyTimeoutMs', options.busyTimeoutMs ?? 5000, 0) }
}
