import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { createClient } from 'redis'
import { afterEach, expect, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { type RedisStore, redisStore } from '../../src/stores/redis/index.ts'
import { asks, granted, receipt, someId } from './redis-kit.ts'

await describeWith('redis', 'the Redis store on a client that is set up oddly', ({ redis }) => {
  const ends: (() => unknown)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })
  const onIoRedis = (options: Omit<RedisOptions, 'replyMapping'>): RedisStore => {
    const client = new Redis(redis.port, redis.host, options)
    client.on('error', () => {})
    const store = redisStore(client, { prefix: 'client-options' })
    ends.push(
      () => client.disconnect(),
      () => store.close(),
    )
    return store
  }
  const onNodeRedis = async (options: object): Promise<RedisStore> => {
    const client = createClient({ url: redis.url, ...options })
    client.on('error', () => {})
    await client.connect()
    const store = redisStore(client, { prefix: 'client-options' })
    ends.push(
      () => client.destroy(),
      () => store.close(),
    )
    return store
  }
  const works = async (store: RedisStore) => {
    const ids = Array.from({ length: 20 }, () => someId())
    const claims = await Promise.all(ids.map((id) => granted(store, asks(id))))
    expect(new Set(claims.map(({ claim }) => typeof claim.fence))).toEqual(new Set(['number']))
    const watched = store.watch(ids[0] as (typeof ids)[0], new AbortController().signal)
    await Promise.all(
      claims.map(async ({ claim }) => {
        expect(await store.renew(claim, 60_000)).toBe(true)
        expect(await store.complete(claim, receipt(), 60_000)).toBe(true)
      }),
    )
    await watched
    for (const id of ids)
      expect(await store.claim(asks(id))).toMatchObject({ state: 'done', outcome: receipt() })
    expect((await store.list({ scope: 'redis', limit: 5 })).records).toHaveLength(5)
    expect((await store.doctor()).length).toBeGreaterThan(0)
  }

  it('ioredis that pipelines by itself', () => works(onIoRedis({ enableAutoPipelining: true })))
  it('ioredis that answers numbers as text', () => works(onIoRedis({ stringNumbers: true })))
  it('ioredis that connects late, queues nothing and repeats for ever', () =>
    works(onIoRedis({ lazyConnect: true, enableOfflineQueue: false, maxRetriesPerRequest: null })))
  it('node-redis that speaks RESP 3 and maps types', async () =>
    works(
      await onNodeRedis({
        RESP: 3,
        disableOfflineQueue: true,
        commandOptions: { typeMapping: { 58: String, 36: String, 42: Set, 37: Map } },
      }),
    ))

  it('a cluster of ioredis with a prefix for its nodes is refused like one with a prefix', () => {
    const cluster = new Cluster([{ host: redis.host, port: redis.port }], {
      lazyConnect: true,
      redisOptions: { keyPrefix: 'mine:' } as object,
    })
    ends.push(() => cluster.disconnect())
    expect(() => redisStore(cluster)).toThrow(/without keyPrefix/)
  })
})
