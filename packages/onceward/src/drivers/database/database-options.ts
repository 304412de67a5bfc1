import type { Clock, Random, Timers } from '../../core/clock.ts'
import { atLeast } from '../../core/known-fields.ts'
import { systemClock, systemRandom, systemTimers } from '../../core/system.ts'
import { checkedSchema } from '../pg/index.ts'

/** How a database is used; each capability takes these beside its own. */
export interface DatabaseOptions {
  /** PostgreSQL only: the schema that holds the tables `onceward_…`. Default `public`. */
  readonly schema?: string
  /**
   * Whether the first use brings the schema up to date. Default: true for the path of a SQLite file, else false: run
   * `onceward migrate` at deploy, or `migrate()` once.
   */
  readonly autoMigrate?: boolean
  /** How long a connection, or the answer to a statement, is waited for, in ms. Default 10,000. On SQLite: the write lock. */
  readonly queryTimeoutMs?: number
  /** PostgreSQL only: whether statements are prepared once a connection. Default true. */
  readonly prepare?: boolean
  readonly clock?: Clock
  readonly timers?: Timers
  readonly random?: Random
}

const FIELDS: Readonly<Record<keyof DatabaseOptions, true>> = {
  schema: true,
  autoMigrate: true,
  queryTimeoutMs: true,
  prepare: true,
  clock: true,
  timers: true,
  random: true,
}

/** The names of the options, for a capability that refuses unknown ones. */
export const DATABASE_FIELDS: readonly string[] = Object.keys(FIELDS)

/** The options with their defaults. */
export interface DatabaseSettings {
  readonly schema: string
  readonly autoMigrate: boolean | undefined
  readonly queryTimeoutMs: number
  readonly prepare: boolean
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** Which function was given the database, for messages. */
  readonly user: string
}

/** Checks the options. @throws `TypeError` naming what is wrong. */
export function databaseSettings(options: DatabaseOptions, user: string): DatabaseSettings {
  return {
    schema: checkedSchema(options.schema ?? 'public'),
    autoMigrate: options.autoMigrate,
    queryTimeoutMs: atLeast('queryTimeoutMs', options.queryTimeoutMs ?? 10_000, 1),
    prepare: options.prepare ?? true,
    clock: options.clock ?? systemClock,
    timers: options.timers ?? systemTimers,
    random: options.random ?? systemRandom,
    user,
  }
}
