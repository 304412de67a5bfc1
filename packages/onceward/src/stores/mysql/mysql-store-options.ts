import type { Clock, Random, Timers } from '../../core/clock.ts'
import { atLeast, refuseUnknown, wholeNumber } from '../../core/known-fields.ts'
import { systemClock, systemRandom, systemTimers } from '../../core/system.ts'

/** Options of `mysqlStore`. */
export interface MysqlStoreOptions {
  /** Whether the first use brings the schema up to date. Default false: services of many processes migrate when they are deployed. */
  readonly autoMigrate?: boolean
  /** How long the server, or the pool, may leave a call unanswered, in ms. Default 10,000. */
  readonly queryTimeoutMs?: number
  /**
   * How long a claim inside a transaction waits for another transaction of the same key, in ms. The server counts whole
   * seconds: it is rounded up. Default 5,000.
   */
  readonly lockTimeoutMs?: number
  /** The most calls of concurrent callers that are sent in one statement. Default 256. */
  readonly maxBatch?: number
  /** The most statements of one kind on their way at once; each takes a connection of the pool. Default 2. */
  readonly maxInFlight?: number
  readonly clock?: Clock
  readonly timers?: Timers
  readonly random?: Random
}

const FIELDS: Readonly<Record<keyof MysqlStoreOptions, true>> = {
  autoMigrate: true,
  queryTimeoutMs: true,
  lockTimeoutMs: true,
  maxBatch: true,
  maxInFlight: true,
  clock: true,
  timers: true,
  random: true,
}

/** The options, checked, with their defaults. @throws `TypeError` naming what is wrong. */
export function checkedOptions(options: MysqlStoreOptions): Required<MysqlStoreOptions> {
  refuseUnknown('mysqlStore', options, Object.keys(FIELDS))
  return {
    autoMigrate: options.autoMigrate ?? false,
    queryTimeoutMs: atLeast('queryTimeoutMs', options.queryTimeoutMs ?? 10_000, 1),
    lockTimeoutMs: atLeast('lockTimeoutMs', options.lockTimeoutMs ?? 5000, 1),
    maxBatch: wholeNumber('maxBatch', options.maxBatch ?? 256, 1),
    maxInFlight: wholeNumber('maxInFlight', options.maxInFlight ?? 2, 1),
    clock: options.clock ?? systemClock,
    timers: options.timers ?? systemTimers,
    random: options.random ?? systemRandom,
  }
}
