import type { Random, Timers } from '../../core/clock.ts'
import { atLeast, refuseUnknown } from '../../core/known-fields.ts'
import { systemRandom, systemTimers } from '../../core/system.ts'
import { checkedSchema, type PostgresPool } from '../../drivers/pg/index.ts'

/** Options of `postgresLocks`. */
export interface PostgresLocksOptions {
  /**
   * The schema that holds the tables `onceward_…`: letters, digits and underscores in lower case. Default `public`.
   * `migrate` creates another one where it is missing.
   */
  readonly schema?: string
  /** Whether the first use brings the schema up to date. Default false: run `onceward migrate` at deploy. */
  readonly autoMigrate?: boolean
  /** How long a connection, or the answer to a statement, is waited for, in ms. Default 10,000. */
  readonly queryTimeoutMs?: number
  /**
   * Whether statements are prepared once a connection. Default true. A pooler that keeps no prepared statements (PgBouncer
   * before 1.21) is noticed, and they are sent unprepared then.
   */
  readonly prepare?: boolean
  /**
   * Whether waiters are woken by LISTEN/NOTIFY, over one more connection while somebody waits. Default true. Behind a
   * pooler in transaction mode, where it cannot work, waiters poll; so they do with `false`. Give another pool, connected
   * past the pooler, and they are woken over one of its connections.
   */
  readonly listen?: boolean | PostgresPool
  readonly timers?: Timers
  readonly random?: Random
}

const FIELDS: Readonly<Record<keyof PostgresLocksOptions, true>> = {
  schema: true,
  autoMigrate: true,
  queryTimeoutMs: true,
  prepare: true,
  listen: true,
  timers: true,
  random: true,
}

/** The options with their defaults. */
export type Settings = Required<PostgresLocksOptions>

/** Checks the options. @throws `TypeError` naming what is wrong. */
export function checkedOptions(options: PostgresLocksOptions): Settings {
  refuseUnknown('postgresLocks', options, Object.keys(FIELDS))
  return {
    schema: checkedSchema(options.schema ?? 'public'),
    autoMigrate: options.autoMigrate ?? false,
    queryTimeoutMs: atLeast('queryTimeoutMs', options.queryTimeoutMs ?? 10_000, 1),
    prepare: options.prepare ?? true,
    listen: options.listen ?? true,
    timers: options.timers ?? systemTimers,
    random: options.random ?? systemRandom,
  }
}
