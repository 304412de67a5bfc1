import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { describe, it } from 'vitest'
import { describeWith } from '../../../../../test-servers/index.mjs'
import {
  catalogConformance,
  type OpenedStore,
  registerCases,
  type StoreHarness,
  storeConformance,
} from '../../testing/index.ts'
import { type RedisClient, type RedisStore, type RedisStoreOptions, redisStore } from './index.ts'

/** Opens a client, and tells how to close it. */
type Connect = () => Promise<{ readonly client: RedisClient; readonly close: () => void }>

function harness(connect: Connect, options: RedisStoreOptions = {}): StoreHarness<RedisStore> {
  return {
    capabilities: { durable: true, transactional: false, push: true, listing: true, fencing: true },
    unitMs: 150,
    model: { runs: 4 },
    async open(): Promise<OpenedStore<RedisStore>> {
      const prefix = `t:${randomBytes(6).toString('hex')}`
      const [a, b] = [await connect(), await connect()]
      const stores = [
        redisStore(a.client, { ...options, prefix }),
        redisStore(b.client, { ...options, prefix }),
      ] as const
      return {
        stores: [...stores],
        async close() {
          for (const store of stores) await store.close()
          a.close()
          b.close()
        },
      }
    },
  }
}

function suite(name: string, connect: Connect, options?: RedisStoreOptions): void {
  describe(`the Redis store by ${name}`, () => {
    registerCases(it, storeConformance(harness(connect, options)))
    registerCases(it, catalogConformance(harness(connect, options)))
  })
}

await describeWith('redis', 'on a single server', ({ redis }) => {
  suite('node-redis', async () => {
    const client = createClient({ url: redis.url })
    client.on('error', () => {})
    await client.connect()
    return { client, close: () => client.destroy() }
  })
  suite('ioredis', async () => {
    const client = new Redis(redis.url)
    return { client, close: () => client.disconnect() }
  })
  suite(
    'ioredis, one transition a call',
    async () => {
      const client = new Redis(redis.url)
      return { client, close: () => client.disconnect() }
    },
    { maxBatch: 1 },
  )
})
