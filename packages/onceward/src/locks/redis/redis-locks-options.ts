import type { Clock, Random, Timers } from '../../core/clock.ts'
import { atLeast, refuseUnknown } from '../../core/known-fields.ts'
import { checkedPrefix, checkedWait, type ReplicaWait } from '../../drivers/redis/index.ts'

/** Options of `redisLocks`. */
export interface RedisLocksOptions {
  /**
   * What every key and channel of the locks begins with: 1 to 64 letters, digits, `_`, `-`, `.` and `:`. Default
   * `onceward`. Whoever shares locks names the same prefix; a `redisStore` may have it too.
   */
  readonly prefix?: string
  /** How long a call may take, in ms; after it, `STORE_UNAVAILABLE`. Default 5,000. */
  readonly commandTimeoutMs?: number
  /**
   * Waits (`WAIT`) until `replicas` replicas have acknowledged a grant, for at most `timeoutMs` ms, before it is answered;
   * too few are `STORE_UNAVAILABLE`. Default: not waited for.
   *
   * Limit: a failover to a replica that had not acknowledged still loses it. The connection waits too, with all other
   * commands on it: give the locks a client of their own.
   */
  readonly wait?: ReplicaWait
  /**
   * Whether a server is accepted that may throw locks away when its memory is full. Default false. Limit: a lock that was
   * thrown away is granted to another while its holder works on.
   */
  readonly allowEviction?: boolean
  readonly clock?: Clock
  readonly timers?: Timers
  readonly random?: Random
}

const FIELDS: Readonly<Record<keyof RedisLocksOptions, true>> = {
  prefix: true,
  commandTimeoutMs: true,
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
  readonly wait: ReplicaWait | undefined
  readonly allowEviction: boolean
}

/** Checks the options. @throws `TypeError` naming what is wrong. */
export function checkedOptions(options: RedisLocksOptions): CheckedOptions {
  refuseUnknown('redisLocks', options, Object.keys(FIELDS))
  return {
    prefix: checkedPrefix(options.prefix ?? 'onceward'),
    commandTimeoutMs: atLeast('commandTimeoutMs', options.commandTimeoutMs ?? 5000, 1),
    wait: options.wait && checkedWait(options.wait),
    allowEviction: options.allowEviction ?? false,
  }
}
