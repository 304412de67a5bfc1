import type { KeptEntry, OperationCache } from '../../core/operation-cache.ts'
import { type RedisConnection, type RedisReply, redisScript } from '../../drivers/redis/index.ts'

/** What a cache in Redis is made of. */
export interface RedisCacheParts {
  readonly connection: RedisConnection
  /** What all keys and channels start with. */
  readonly prefix: string
  /** How long one call may take, in ms. */
  readonly timeoutMs: number
  /** Frees what was opened for the cache. */
  readonly close: () => void
}

/** A key of another type is somebody else's: nothing is kept there. */
const LOOK = redisScript(`
local found = {}
for i, key in ipairs(KEYS) do
  local value = redis.pcall('GET', key)
  if type(value) == 'string' then
    found[i] = { value, redis.call('PTTL', key) }
  else
    found[i] = false
  end
end
return found
`)

const KEEP = redisScript(`
for i, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[2 * i - 1], 'PX', ARGV[2 * i])
end
return #KEYS
`)

const FORGET = redisScript(`return redis.call('UNLINK', unpack(KEYS))`)

const WAKE = redisScript(`
for _, channel in ipairs(ARGV) do
  redis.call('PUBLISH', channel, '')
end
return #ARGV
`)

/** The most keys of one script. */
const MAX_KEYS = 256

/** Keeps entries in Redis under `PREFIX:cache:DIGEST`, and wakes over the channels `PREFIX:woken:DIGEST`. */
export function redisCache(parts: RedisCacheParts): OperationCache {
  const { connection, prefix, timeoutMs, close } = parts
  const keyOf = (digest: string) => `${prefix}:cache:${digest}`
  const channelOf = (digest: string) => `${prefix}:woken:${digest}`
  /** The keys of one script lie in one slot: in a cluster each goes alone. */
  const groups = <T>(items: readonly T[]): readonly (readonly T[])[] => {
    const size = connection.cluster ? 1 : MAX_KEYS
    return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
      items.slice(index * size, (index + 1) * size),
    )
  }
  return {
    async look(digests) {
      const replies = await Promise.all(
        groups(digests).map((group) => connection.script(LOOK, group.map(keyOf), [], { timeoutMs })),
      )
      return replies.flatMap((reply) => (Array.isArray(reply) ? reply.map(keptOf) : []))
    },
    async keep(entries) {
      await Promise.all(
        groups(entries).map((group) =>
          connection.script(
            KEEP,
            group.map(({ digest }) => keyOf(digest)),
            group.flatMap(({ bytes, ttlMs }) => [bufferOf(bytes), String(ttlMs)]),
            { timeoutMs },
          ),
        ),
      )
    },
    async forget(digests) {
      await Promise.all(
        groups(digests).map((group) => connection.script(FORGET, group.map(keyOf), [], { timeoutMs })),
      )
    },
    async wake(digests) {
      // A publication reaches every node of a cluster: any of them will do.
      const key = keyOf(digests[0] ?? '')
      await connection.script(WAKE, [], digests.map(channelOf), { key, timeoutMs })
    },
    watch: (digest, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve()
        const end = () => {
          leave()
          signal.removeEventListener('abort', end)
          resolve()
        }
        const leave = connection.subscribe(channelOf(digest), { message: end, up: () => {} })
        signal.addEventListener('abort', end, { once: true })
      }),
    async close() {
      close()
    },
  }
}

function keptOf(reply: RedisReply): KeptEntry | undefined {
  if (!Array.isArray(reply)) return undefined
  const [bytes, remainingMs] = reply as readonly RedisReply[]
  // A key that never expires was not written by us.
  if (!(bytes instanceof Uint8Array) || typeof remainingMs !== 'number' || remainingMs <= 0) return undefined
  return { bytes, remainingMs }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
