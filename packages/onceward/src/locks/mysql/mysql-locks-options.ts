import type { Random, Timers } from '../../core/clock.ts'
import { atLeast, refuseUnknown } from '../../core/known-fields.ts'
import { systemRandom, systemTimers } from '../../core/system.ts'

/** Options of `mysqlLocks`. */
export interface MysqlLocksOptions {
  /** Whether the first use brings the schema up to date. Default false: run `onceward migrate` at deploy. */
  readonly autoMigrate?: boolean
  /** How long the server, or the pool, may leave a call unanswered, in ms. Default 10,000. */
  readonly queryTimeoutMs?: number
  readonly timers?: Timers
  readonly random?: Random
}

const FIELDS: Readonly<Record<keyof MysqlLocksOptions, true>> = {
  autoMigrate: true,
  queryTimeoutMs: true,
  timers: true,
  random: true,
}

/** The options, checked, with their defaults. @throws `TypeError` naming what is wrong. */
export function checkedOptions(options: MysqlLocksOptions): Required<MysqlLocksOptions> {
  refuseUnknown('mysqlLocks', options, Object.keys(FIELDS))
  return {
    autoMigrate: options.autoMigrate ?? false,
    queryTimeoutMs: atLeast('queryTimeoutMs', options.queryTimeoutMs ?? 10_000, 1),
    timers: options.timers ?? systemTimers,
    random: options.random ?? systemRandom,
  }
}
