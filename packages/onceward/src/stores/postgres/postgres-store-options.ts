import type { Clock, Random, Timers } from '../../core/clock.ts'
import { atLeast, refuseUnknown, wholeNumber } from '../../core/known-fields.ts'
import { systemClock, systemRandom, systemTimers } from '../../core/system.ts'
import { checkedSchema, type PostgresPool } from '../../drivers/pg/index.ts'

/** Options of `postgresStore`. */
export interface PostgresStoreOptions {
  /**
   * The schema that holds the tables `onceward_…`: letters, digits and underscores in lower case. Default `public`.
   * `migrate` creates another one where it is missing.
   */
  readonly schema?: string
  /** Whether the first use brings the schema up to date. Default false: run `onceward migrate` at deploy. */
  readonly autoMigrate?: boolean
  /** The most calls of concurrent callers that are sent in one statement. Default 256. */
  readonly maxBatch?: number
  /** The most statements of one kind on their way at the same time. Each takes a connection of the pool. Default 2. */
  readonly maxInFlight?: number
  /** How long a connection, or the answer to a statement of the store, is waited for, in ms. Default 10,000. */
  readonly queryTimeoutMs?: number
  /**
   * How long a claim inside a transaction waits for another transaction that holds the same key, in ms. Default 5,000.
   * Then it throws `IN_PROGRESS` (retryable, effect none).
   */
  readonly lockTimeoutMs?: number
  /** How often a transaction is run that a deadlock or a conflict has undone. Default 5. */
  readonly transactionTries?: number
  /**
   * Whether statements are prepared once a connection. Default true: about a third faster. A pooler that keeps no
   * prepared statements (PgBouncer before 1.21) is noticed, and they are sent unprepared then.
   */
  readonly prepare?: boolean
  /**
   * Whether waiters are woken by LISTEN/NOTIFY, over one more connection while somebody waits. Default true. Behind a
   * pooler in transaction mode, where it cannot work, waiters poll; so they do with `false`. Give another pool, connected
   * past the pooler, and they are woken over one of its connections.
   */
  readonly listen?: boolean | PostgresPool
  readonly clock?: Clock
  readonly timers?: Timers
  readonly random?: Random
}

const FIELDS: Readonly<Record<keyof PostgresStoreOptions, true>> = {
  schema: true,
  autoMigrate: true,
  maxBatch: true,
  maxInFlight: true,
  queryTimeoutMs: true,
  lockTimeoutMs: true,
  transactionTries: true,
  prepare: true,
  listen: true,
  clock: true,
  timers: true,
  random: true,
}

/** The options with their defaults. */
export type Settings = Required<PostgresStoreOptions>

/** PostgreSQL counts in 32 bits. */
const MAX_INT = 2 ** 31 - 1

/** Checks the options. @throws `TypeError` naming what is wrong. */
export function checkedOptions(options: PostgresStoreOptions): Settings {
  refuseUnknown('postgresStore', options, Object.keys(FIELDS))
  return {
    schema: checkedSchema(options.schema ?? 'public'),
    autoMigrate: options.autoMigrate ?? false,
    maxBatch: wholeNumber('maxBatch', options.maxBatch ?? 256, 1, MAX_INT),
    maxInFlight: wholeNumber('maxInFlight', options.maxInFlight ?? 2, 1, MAX_INT),
    queryTimeoutMs: atLeast('queryTimeoutMs', options.queryTimeoutMs ?? 10_000, 1),
    lockTimeoutMs: wholeNumber('lockTimeoutMs', options.lockTimeoutMs ?? 5000, 1, MAX_INT),
    transactionTries: wholeNumber('transactionTries', options.transactionTries ?? 5, 1, MAX_INT),
    prepare: options.prepare ?? true,
    listen: options.listen ?? true,
    clock: options.clock ?? systemClock,
    timers: options.timers ?? systemTimers,
    random: options.random ?? systemRandom,
  }
}
