import { refuseUnknown, wholeNumber, written } from '../core/known-fields.ts'
import { checkedPrefix, type RedisClient, redisConnection, redisScript } from '../drivers/redis/index.ts'
import { checkedFence, type FencedWrite } from './fenced.ts'

/** Options of {@link fencedRedis}. */
export interface FencedRedisOptions {
  /** What keys begin with. Default nothing: the keys are as you give them. */
  readonly prefix?: string
  /** How long a call may take, in ms. Default 5000. */
  readonly timeoutMs?: number
}

/** Keys of Redis that refuse smaller fences. Each is a hash with the fields `value` and `fence`. */
export interface FencedRedis {
  /** `ttlMs`: forgets value **and fence** after so many ms; longer than any holder can be late. Default never. */
  set(key: string, value: string, fence: number, options?: { readonly ttlMs?: number }): Promise<FencedWrite>
  /** Deletes the value and keeps the fence for `keepFenceMs`, by default a day, so that a late `set` is refused. */
  delete(key: string, fence: number, options?: { readonly keepFenceMs?: number }): Promise<FencedWrite>
  get(key: string): Promise<string | undefined>
}

/**
 * Makes keys of Redis refuse holders who come late: fence and value are compared and written in one script.
 *
 * Limit: what has expired, was evicted or was flushed refuses nobody. It holds for writers that come this way.
 *
 * @param client - A connected client of `redis` (5 or 6) or `ioredis` (5 or 6). It stays the caller's.
 * @throws `STORE_UNAVAILABLE`: the write may have been carried out, and may be repeated with the same fence.
 * @example
 * const stock = fencedRedis(redis, { prefix: 'stock:' })
 * await locks.using('stock:7', async ({ fence }) => stock.set('7', '41', fence))
 */
export function fencedRedis(client: RedisClient, options: FencedRedisOptions = {}): FencedRedis {
  refuseUnknown('fencedRedis', options, ['prefix', 'timeoutMs'])
  const { prefix, timeoutMs = 5000 } = options
  const start = prefix === undefined ? '' : checkedPrefix(prefix)
  const connection = redisConnection('fencedRedis', client, {
    timeoutMs: wholeNumber('timeoutMs', timeoutMs, 1),
  })
  const keyOf = (key: string) => {
    if (typeof key === 'string' && key !== '') return start + key
    throw new TypeError(`a key must be a non-empty text, not ${written(key)}`)
  }
  const told = (reply: unknown): FencedWrite => (reply === 1 ? 'written' : 'stale')
  return {
    async set(key, value, fence, { ttlMs } = {}) {
      if (typeof value !== 'string') throw new TypeError(`a value must be a text, not ${written(value)}`)
      const lasts = ttlMs === undefined ? '' : String(wholeNumber('ttlMs', ttlMs, 1))
      const args = [String(checkedFence(fence)), value, lasts]
      return told(await connection.script(SET, [keyOf(key)], args))
    },
    async delete(key, fence, { keepFenceMs = 86_400_000 } = {}) {
      const args = [String(checkedFence(fence)), String(wholeNumber('keepFenceMs', keepFenceMs, 1))]
      return told(await connection.script(DELETE, [keyOf(key)], args))
    },
    async get(key) {
      const reply = await connection.command(['HGET', keyOf(key), 'value'], { key: keyOf(key) })
      return reply === null ? undefined : String(reply)
    },
  }
}

/** A hash that is not ours is refused as a key of another type is. */
const LAST = `local last = redis.call('HGET', KEYS[1], 'fence')
if last and not tonumber(last) then return redis.error_reply('WRONGTYPE The fence of the key is not a number') end`

const SET = redisScript(`
${LAST}
if last and tonumber(last) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'value', ARGV[2])
if ARGV[3] == '' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1
`)

const DELETE = redisScript(`
${LAST}
if last and tonumber(last) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'fence', ARGV[1])
redis.call('HDEL', KEYS[1], 'value')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
`)
