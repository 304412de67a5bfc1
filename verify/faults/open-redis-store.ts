import { factoryOf, type Library } from './library.ts'
import type { AddressOf, OpenedStore, RedisAddress } from './store-kinds.ts'

/** A client of either driver, connected, and how it is ended. */
export interface RedisHandle {
  readonly client: unknown
  end(): void
}

/** After so many ms a lost connection is tried again. */
const RECONNECT_MS = 25

/** Connects a client the way a service would that wants to be back soon. */
export async function connectRedis({
  url,
  client,
}: Pick<RedisAddress, 'url' | 'client'>): Promise<RedisHandle> {
  if (client === 'ioredis') {
    const { Redis } = await import('ioredis')
    const redis = new Redis(url, { retryStrategy: () => RECONNECT_MS, connectTimeout: 1000 })
    redis.on('error', () => {})
    return { client: redis, end: () => redis.disconnect() }
  }
  const { createClient } = await import('redis')
  const redis = createClient({ url, socket: { reconnectStrategy: () => RECONNECT_MS, connectTimeout: 1000 } })
  redis.on('error', () => {})
  await redis.connect()
  return { client: redis, end: () => redis.destroy() }
}

/** Opens the Redis store over one of its drivers. */
export async function openRedisStore(library: Library, address: AddressOf<'redis'>): Promise<OpenedStore> {
  const redisStore = await factoryOf(library, 'redis', 'redisStore')
  const { client, end } = await connectRedis(address)
  const store = redisStore(client, { prefix: address.prefix, commandTimeoutMs: address.timeoutMs })
  return {
    store,
    async close() {
      await store.close()
      end()
    },
  }
}
