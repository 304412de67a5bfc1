import type { Clock, Timers } from '../../core/clock.ts'
import { atLeast, kindOf, refuseUnknown, written } from '../../core/known-fields.ts'
import type { Observer } from '../../core/observer.ts'
import type { OperationCache } from '../../core/operation-cache.ts'
import type { OperationStore } from '../../core/store.ts'

/** Options of `tieredStore`. */
export interface TieredOptions<S extends OperationStore = OperationStore, Cache = OperationCache> {
  /** What answers first: a Redis client (node-redis or ioredis), a `redisStore`, or any {@link OperationCache}. It stays open. */
  readonly cache: Cache
  /** What decides. It is closed with the tiered store. */
  readonly store: S
  /**
   * What the keys in Redis start with. Default: that of the given `redisStore`, else `onceward`. Two databases that share one Redis need two prefixes: they
   * would be answered with each other's outcomes.
   */
  readonly prefix?: string
  /** How long the cache may leave a question unanswered before the store is asked instead, in ms. Default 50. */
  readonly cacheTimeoutMs?: number
  /** After so many failures in a row the cache is left alone. Default 3. */
  readonly openAfter?: number
  /** How long it is left alone before one probe, in ms. Default 1,000. */
  readonly retryAfterMs?: number
  /** How long an outcome is kept in the cache at most, in ms; never longer than the store remembers it. Default 3,600,000. */
  readonly keepMs?: number
  /**
   * How far the clocks of the processes that share a cache may differ, in ms. An entry that is older than its time by
   * more is not believed, whatever the cache says of it; clocks that differ by more cost hits, nothing else. Default 5,000.
   */
  readonly maxSkewMs?: number
  /** The largest outcome that is cached, in bytes. Default 65,536. */
  readonly maxEntryBytes?: number
  /**
   * Authenticates entries by HMAC-SHA256: without it whoever may write to the cache can make up outcomes. At least 16
   * bytes, the same in every process. Default: none.
   */
  readonly secret?: string | Uint8Array
  /** Is told when the cache is left alone (`cache-opened`) and when it is used again (`cache-closed`). */
  readonly observer?: Observer
  readonly clock?: Clock
  readonly timers?: Timers
}

const FIELDS: Readonly<Record<keyof TieredOptions, true>> = {
  cache: true,
  store: true,
  prefix: true,
  cacheTimeoutMs: true,
  openAfter: true,
  retryAfterMs: true,
  keepMs: true,
  maxSkewMs: true,
  maxEntryBytes: true,
  secret: true,
  observer: true,
  clock: true,
  timers: true,
}

/** The numbers and texts, checked, with their defaults. */
export interface CheckedTieredOptions {
  readonly prefix: string | undefined
  readonly cacheTimeoutMs: number
  readonly openAfter: number
  readonly retryAfterMs: number
  readonly keepMs: number
  readonly maxSkewMs: number
  readonly maxEntryBytes: number
}

const LEAST_SECRET_BYTES = 16

/** Checks the options. @throws `TypeError` naming what is wrong. */
export function checkedOptions(options: TieredOptions<OperationStore, unknown>): CheckedTieredOptions {
  if (typeof options !== 'object' || options === null || !('cache' in options || 'store' in options))
    throw new TypeError('tieredStore needs { cache, store }: what answers sooner, and the store that decides')
  refuseUnknown('tieredStore', options, Object.keys(FIELDS))
  const { store, secret, prefix } = options
  if (typeof store?.claim !== 'function')
    throw new TypeError(
      `tieredStore needs a store that decides, such as postgresStore(pool), not ${kindOf(store)}`,
    )
  if (secret !== undefined && Buffer.byteLength(secret) < LEAST_SECRET_BYTES)
    throw new TypeError(`secret must have at least ${LEAST_SECRET_BYTES} bytes`)
  if (prefix !== undefined && !/^[\w.:-]{1,64}$/.test(String(prefix)))
    throw new TypeError(`prefix must be 1 to 64 letters, digits or . : _ -, not ${written(prefix)}`)
  return {
    prefix,
    cacheTimeoutMs: atLeast('cacheTimeoutMs', options.cacheTimeoutMs ?? 50, 1),
    openAfter: atLeast('openAfter', options.openAfter ?? 3, 1),
    retryAfterMs: atLeast('retryAfterMs', options.retryAfterMs ?? 1000, 1),
    keepMs: atLeast('keepMs', options.keepMs ?? 3_600_000, 1),
    maxSkewMs: atLeast('maxSkewMs', options.maxSkewMs ?? 5000, 0),
    maxEntryBytes: atLeast('maxEntryBytes', options.maxEntryBytes ?? 65_536, 0),
  }
}
