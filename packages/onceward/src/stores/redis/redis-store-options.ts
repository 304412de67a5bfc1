import type { Clock, Random, Timers } from '../../core/clock.ts'
import { atLeast, refuseUnknown, wholeNumber } from '../../core/known-fields.ts'
import { checkedPrefix, checkedWait, type ReplicaWait } from '../../drivers/redis/index.ts'

/** Options of `redisStore`. */
export interface RedisStoreOptions {
  /**
   * What every key and channel of the store begins with: 1 to 64 letters, digits, `_`, `-`, `.` and `:`. Default
   * `onceward`. Stores with the same prefix share their records; nothing else may write under it.
   */
  readonly prefix?: string
  /** How long a call may take, in ms; after it, `STORE_UNAVAILABLE`. Default 5,000. */
  readonly commandTimeoutMs?: number
  /** The most transitions of concurrent callers that are sent in one call. Default 512, at most 4,096. */
  readonly maxBatch?: number
  /**
   * Waits (`WAIT`) until `replicas` replicas have acknowledged a transition, for at most `timeoutMs` ms, before it is
   * answered; too few are `STORE_UNAVAILABLE`, and the transition is asked again. Default: not waited for.
   *
   * Limit: a failover to a replica that had not acknowledged still loses it. The connection waits too, with all other
   * commands on it: give the store a client of its own.
   */
  readonly wait?: ReplicaWait
  /**
   * Whether a server is accepted that may throw records away when its memory is full. Default false. Limit: a record
   * that was thrown away lets its operation run again.
   */
  readonly allowEviction?: boolean
  readonly clock?: Clock
  readonly timers?: Timers
  readonly random?: Random
}

const FIELDS: Readonly<Record<keyof RedisStoreOptions, true>> = {
  prefix: true,
  commandTimeoutMs: true,
  maxBatch: true,
  wait: true,
  allowEviction: true,
  clock: true,
  timers: true,
  random: true,
}

/** The options that are checked, with their defaults. */
export interface CheckedOptions {
  readonly prefix: string
  readonly commandTimeoutMs: number
  readonly maxBatch: number
  readonly wait: ReplicaWait | undefined
  readonly allowEviction: boolean
}

/** Checks the options. @throws `TypeError` naming what is wrong. */
export function checkedOptions(options: RedisStoreOptions): CheckedOptions {
  refuseUnknown('redisStore', options, Object.keys(FIELDS))
  return {
    prefix: checkedPrefix(options.prefix ?? 'onceward'),
    commandTimeoutMs: atLeast('commandTimeoutMs', options.commandTimeoutMs ?? 5000, 1),
    maxBatch: wholeNumber('maxBatch', options.maxBatch ?? 512, 1, 4096),
    wait: options.wait && checkedWait(options.wait),
    allowEviction: options.allowEviction ?? false,
  }
}
