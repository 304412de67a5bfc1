import { randomBytes } from 'node:crypto'
import { Cluster, Redis } from 'ioredis'
import { createClient, createCluster, createSentinel } from 'redis'
import { afterAll, beforeAll, describe, it } from 'vitest'
import {
  type RedisClient,
  type RedisStore,
  type RedisStoreOptions,
  redisStore,
} from '../../src/stores/redis/index.ts'
import {
  catalogConformance,
  type OpenedStore,
  registerCases,
  type StoreHarness,
  storeConformance,
} from '../../src/testing/index.ts'

/** An open client, and how to close it. */
export interface OpenClient {
  readonly client: RedisClient
  readonly close: () => void
}

/** Opens a client. */
export type Connect = () => Promise<OpenClient>

/** Where a server is. */
interface Address {
  readonly host: string
  readonly port: number
}

/** The ways to reach a single server. */
export const SINGLE: Readonly<Record<'node-redis' | 'ioredis', (url: string) => Connect>> = {
  'node-redis': (url) => async () => {
    const client = createClient({ url })
    client.on('error', () => {})
    await client.connect()
    return { client, close: () => client.destroy() }
  },
  ioredis: (url) => async () => {
    const client = new Redis(url)
    client.on('error', () => {})
    return { client, close: () => client.disconnect() }
  },
}

/** The ways to reach a cluster. */
export const CLUSTER: Readonly<Record<'node-redis' | 'ioredis', (nodes: readonly Address[]) => Connect>> = {
  'node-redis': (nodes) => async () => {
    const client = createCluster({
      rootNodes: nodes.map(({ host, port }) => ({ socket: { host, port } })),
    })
    client.on('error', () => {})
    await client.connect()
    return { client, close: () => client.destroy() }
  },
  ioredis: (nodes) => async () => {
    const client = new Cluster(nodes.map(({ host, port }) => ({ host, port })))
    client.on('error', () => {})
    return { client, close: () => client.disconnect() }
  },
}

/** The ways to reach a primary behind Sentinel. */
export const SENTINEL: Readonly<
  Record<'node-redis' | 'ioredis', (name: string, sentinels: readonly Address[]) => Connect>
> = {
  'node-redis': (name, sentinels) => async () => {
    const client = createSentinel({
      name,
      sentinelRootNodes: sentinels.map(({ host, port }) => ({ host, port })),
    })
    client.on('error', () => {})
    await client.connect()
    return { client, close: () => client.destroy() }
  },
  ioredis: (name, sentinels) => async () => {
    const client = new Redis({
      name,
      sentinels: sentinels.map(({ host, port }) => ({ host, port })),
      sentinelRetryStrategy: () => 100,
    })
    client.on('error', () => {})
    return { client, close: () => client.disconnect() }
  },
}

/** A prefix that nobody else uses. */
export function somePrefix(): string {
  return `t:${randomBytes(6).toString('hex')}`
}

/** Binds the suites to one way of talking to Redis: all cases share two clients, each has a prefix of its own. */
export function redisSuite(
  name: string,
  connect: Connect,
  options: RedisStoreOptions = {},
  { sideBySide = true }: { readonly sideBySide?: boolean } = {},
): void {
  describe(`the Redis store by ${name}`, { timeout: 30_000 }, () => {
    let clients: readonly [OpenClient, OpenClient]
    beforeAll(async () => {
      clients = [await connect(), await connect()]
    })
    afterAll(() => {
      for (const { close } of clients) close()
    })
    const harness: StoreHarness<RedisStore> = {
      capabilities: { durable: true, transactional: false, push: true, listing: true, fencing: true },
      // The cases wait on the server's clock, and run side by side: it has to be long enough for a busy machine.
      unitMs: sideBySide ? 800 : 300,
      patienceMs: 10_000,
      model: { runs: 3 },
      async open(): Promise<OpenedStore<RedisStore>> {
        const prefix = somePrefix()
        const [a, b] = clients
        const one = redisStore(a.client, { ...options, prefix })
        const other = redisStore(b.client, { ...options, prefix })
        // The first call looks at the server, and opens what it needs: that is no time of the case.
        await Promise.all([one.stats(), other.stats()])
        return {
          stores: [one, other],
          async close() {
            await one.close()
            await other.close()
          },
        }
      },
    }
    const test = sideBySide ? it.concurrent : it
    registerCases(test, storeConformance(harness))
    registerCases(test, catalogConformance(harness))
  })
}
