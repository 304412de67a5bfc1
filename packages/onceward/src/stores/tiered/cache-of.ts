import type { Timers } from '../../core/clock.ts'
import type { OperationCache } from '../../core/operation-cache.ts'
import { type RedisClient, type RedisConnection, redisConnection } from '../../drivers/redis/index.ts'
import { redisCache } from './redis-cache.ts'

/** A store on Redis, as far as its connection is borrowed. */
export interface RedisBacked {
  readonly connection: RedisConnection
  readonly prefix: string
}

/** What a tiered store takes as its cache. */
export type CacheSource = OperationCache | RedisBacked | RedisClient

/** What a cache is made with. */
export interface CacheParts {
  readonly prefix: string | undefined
  readonly timeoutMs: number
  readonly timers: Timers
}

/**
 * Makes a cache of what was given. What is borrowed stays open.
 *
 * @throws `TypeError` for what is neither a cache, nor a store on Redis, nor a client of Redis.
 */
export function cacheOf(given: CacheSource, { prefix, timeoutMs, timers }: CacheParts): OperationCache {
  if (isOperationCache(given)) return given
  if (isRedisBacked(given)) {
    const { connection } = given
    return redisCache({ connection, prefix: prefix ?? given.prefix, timeoutMs, close: () => {} })
  }
  const connection = redisConnection('the cache of tieredStore', given, { timeoutMs, timers })
  return redisCache({ connection, prefix: prefix ?? 'onceward', timeoutMs, close: () => connection.close() })
}

function isOperationCache(given: unknown): given is OperationCache {
  if (typeof given !== 'object' || given === null) return false
  return (['look', 'keep', 'forget', 'wake', 'watch', 'close'] as const).every(
    (method) => typeof (given as Partial<OperationCache>)[method] === 'function',
  )
}

function isRedisBacked(given: CacheSource): given is RedisBacked {
  if (typeof given !== 'object' || given === null) return false
  const { connection, prefix } = given as Partial<RedisBacked>
  return typeof prefix === 'string' && typeof connection?.script === 'function'
}
