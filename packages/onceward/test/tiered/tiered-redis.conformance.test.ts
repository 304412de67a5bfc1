import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { type CacheSource, tieredStore } from '../../src/stores/tiered/index.ts'
import {
  catalogConformance,
  registerCases,
  type StoreHarness,
  storeConformance,
} from '../../src/testing/index.ts'

const CLIENTS: Readonly<
  Record<string, (url: string) => Promise<{ readonly client: CacheSource; close(): void }>>
> = {
  async 'node-redis'(url) {
    const client = createClient({ url })
    client.on('error', () => {})
    await client.connect()
    return { client, close: () => client.destroy() }
  },
  async ioredis(url) {
    const client = new Redis(url)
    return { client, close: () => client.disconnect() }
  },
}

for (const [name, connect] of Object.entries(CLIENTS)) {
  await describeWith('redis', `a tiered store, its cache in Redis by ${name}`, ({ redis }) => {
    const harness: StoreHarness<ReturnType<typeof memoryStore>> = {
      capabilities: memoryStore().capabilities,
      unitMs: 150,
      patienceMs: 15_000,
      model: { runs: 3 },
      async open() {
        const [one, other] = [await connect(redis.url), await connect(redis.url)]
        const prefix = `tiered:${randomBytes(6).toString('hex')}`
        const store = memoryStore()
        // No common memory beside the store: what wakes and replays across the two goes by way of Redis.
        const over = (cache: CacheSource) => tieredStore({ cache, store, prefix })
        return {
          stores: [over(one.client), over(other.client)],
          async close() {
            one.close()
            other.close()
            await store.close()
          },
        }
      },
    }
    registerCases(it, storeConformance(harness))
    registerCases(it, catalogConformance(harness))
  })
}
