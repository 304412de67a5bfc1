import type { Clock, Random, Timers } from '../../core/clock.ts'
import { atLeast, refuseUnknown, written } from '../../core/known-fields.ts'
import { checkedPrefix } from '../../drivers/redis/index.ts'

/** Options of `redlock`. */
export interface RedlockOptions {
  /**
   * What every key of the locks begins with: 1 to 64 letters, digits, `_`, `-`, `.` and `:`. Default `onceward`. Whoever
   * shares locks names the same prefix.
   */
  readonly prefix?: string
  /** How long one server may take, in ms; after it, it counts as failed. Default 1,000. */
  readonly commandTimeoutMs?: number
  /** Whether servers are accepted that may throw locks away when their memory is full. Default false. */
  readonly allowEviction?: boolean
  readonly clock?: Clock
  readonly timers?: Timers
  readonly random?: Random
}

const FIELDS: Readonly<Record<keyof RedlockOptions, true>> = {
  prefix: true,
  commandTimeoutMs: true,
  allowEviction: true,
  clock: true,
  timers: true,
  random: true,
}

/** The options that are checked, with their defaults. */
export interface CheckedOptions {
  readonly prefix: string
  readonly commandTimeoutMs: number
  readonly allowEviction: boolean
}

/** Checks the options. @throws `TypeError` naming what is wrong. */
export function checkedOptions(options: RedlockOptions): CheckedOptions {
  refuseUnknown('redlock', options, Object.keys(FIELDS))
  return {
    prefix: checkedPrefix(options.prefix ?? 'onceward'),
    commandTimeoutMs: atLeast('commandTimeoutMs', options.commandTimeoutMs ?? 1000, 1),
    allowEviction: options.allowEviction ?? false,
  }
}

/** Checks how many servers there are. @throws `TypeError` that says how many there must be, and why. */
export function checkClients(clients: readonly unknown[]): void {
  if (!Array.isArray(clients)) {
    throw new TypeError(
      `redlock needs a list of clients, one for each of 3, 5 or 7 independent Redis servers, not ${written(clients)}`,
    )
  }
  const { length } = clients
  if (length < 3) {
    const instead = length === 1 ? '; for one server use redisLocks(client), which has fences too' : ''
    throw new TypeError(
      `redlock needs at least 3 clients, each of a Redis server of its own, and was given ${length}${instead}`,
    )
  }
  if (length % 2 === 0) {
    throw new TypeError(
      `redlock needs an odd number of clients and was given ${length}: of an even number as many fail as of one less, and votes tie; leave one out, or add one`,
    )
  }
  if (new Set(clients).size < length) {
    throw new TypeError(
      'redlock was given the same client twice; each has to be of a Redis server of its own, or there is no majority',
    )
  }
}
