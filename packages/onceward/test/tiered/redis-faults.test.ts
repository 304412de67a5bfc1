import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Cluster } from 'ioredis'
import { createClient, createCluster } from 'redis'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import {
  describeWhere,
  type FaultProxy,
  faultProxy,
  type RedisServer,
  startRedis,
  startRedisCluster,
} from '../../../../test-servers/index.mjs'
import { createOnce } from '../../src/core/create-once.ts'
import { operationId } from '../../src/core/identity.ts'
import type { OperationStore } from '../../src/core/store.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { type CacheSource, type TieredStore, tieredStore } from '../../src/stores/tiered/index.ts'

/** How long a cache that has no fault may take to answer on a busy machine, in ms. */
const PATIENT_MS = 10_000

/** Waits for a condition, for at most ten seconds. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`never came true: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

await describeWhere('redis', 'a tiered store whose Redis', () => {
  let redis: RedisServer
  let proxy: FaultProxy
  let client: ReturnType<typeof createClient>
  let store: TieredStore<OperationStore>
  /** Runs of the work by key: what must never be more than one. */
  const runs = new Map<string, number>()

  beforeAll(async () => {
    redis = await startRedis()
    proxy = await faultProxy({ target: redis })
    client = createClient({
      url: proxy.url(redis.url),
      socket: { reconnectStrategy: 20, connectTimeout: 500 },
    })
    client.on('error', () => {})
    await client.connect()
  })
  const open = (options: { readonly cacheTimeoutMs?: number } = {}) =>
    tieredStore<OperationStore>({
      cache: client,
      store: sqliteStore(':memory:'),
      retryAfterMs: 50,
      prefix: `faults-${randomBytes(6).toString('hex')}`,
      ...options,
    })
  beforeEach(() => {
    store = open()
    runs.clear()
    return () => store.close()
  })
  /** From here on the cache is given all the time it needs: a busy machine is no fault of it. */
  const waitPatiently = async () => {
    await store.close()
    store = open({ cacheTimeoutMs: PATIENT_MS })
  }
  afterAll(async () => {
    client?.destroy()
    await proxy?.stop()
    await redis?.stop()
  })

  /** Four instances, as four processes would be, ask for the same keys again and again until told to stop. */
  function load(): { stop(): Promise<number> } {
    let stopped = false
    let asked = 0
    const instance = async () => {
      const once = createOnce({ store, scope: 'load', cache: false })
      while (!stopped) {
        const key = `k${asked++ % 40}`
        const value = await once.run({ key, input: key }, () => {
          runs.set(key, (runs.get(key) ?? 0) + 1)
          return `receipt of ${key}`
        })
        expect(value).toBe(`receipt of ${key}`)
      }
      await once.close()
    }
    const running = Promise.all([instance(), instance(), instance(), instance()])
    return {
      async stop() {
        stopped = true
        await running
        expect([...runs.values()].every((count) => count === 1)).toBe(true)
        return asked
      },
    }
  }
  const answersAgain = () => until(() => store.cacheState().state === 'closed')
  const helps = async () => {
    const before = store.cacheState().hits
    await until(() => store.cacheState().hits > before + 20)
  }

  const faults: readonly (readonly [string, () => Promise<void>, () => Promise<void>])[] = [
    ['is killed and started again, empty', () => redis.kill(), () => redis.restart()],
    ['is paused', () => redis.pause(), () => redis.resume()],
    ['is unreachable', () => proxy.down(), () => proxy.pass()],
    ['takes requests and never answers', async () => proxy.dropReplies(), () => proxy.pass()],
    ['answers slower than it is waited for', async () => proxy.delay(120, 'replies'), () => proxy.pass()],
    ['is gone without a word', async () => proxy.blackHole(), () => proxy.pass()],
  ]
  it.each(faults)('%s costs speed only, and is used again by itself', async (_, fault, heal) => {
    const going = load()
    await helps()
    await fault()
    await until(() => store.cacheState().opened > 0)
    const before = [...runs.keys()].length
    expect(before).toBeGreaterThan(0)
    await heal()
    await answersAgain()
    await helps()
    expect(await going.stop()).toBeGreaterThan(80)
  })

  it('is flushed, of data and of scripts, goes on without a failure', async () => {
    await waitPatiently()
    const going = load()
    await helps()
    await redis.command('FLUSHALL')
    await redis.command('SCRIPT', 'FLUSH')
    await helps()
    await going.stop()
    expect(store.cacheState()).toMatchObject({ state: 'closed', opened: 0 })
  })

  it('holds foreign values under our keys is not believed, and the keys are ours again when asked', async () => {
    await waitPatiently()
    const going = load()
    await helps()
    for (const key of (await client.keys('faults-*')) as string[]) {
      // In one step: those who ask meanwhile would put an entry there again.
      await client.multi().del(key).hSet(key, 'a', 'hash').exec()
    }
    await helps()
    await going.stop()
    expect(store.cacheState().opened).toBe(0)
  })

  it('answers, keeps entries no longer than the store remembers', async () => {
    const once = createOnce({ store, scope: 'short', retentionMs: 60_000, cache: false })
    const digest = operationId('short', 'k').digest
    await until(async () => {
      await once.run({ key: 'k' }, () => 1)
      return (await client.keys(`*${digest}`)).length === 1
    })
    const [key = ''] = (await client.keys(`*${digest}`)) as string[]
    const ttl = Number(await client.pTTL(key))
    expect(ttl).toBeGreaterThan(50_000)
    expect(ttl).toBeLessThanOrEqual(60_000)
  })

  it('lets a user in who may do only what docs/tiered.md lists, on keys and channels of the prefix', async () => {
    const page = readFileSync(new URL('../../../../docs/tiered.md', import.meta.url), 'utf8')
    const [, list = ''] = /A user needs\s+([^.]*)\./.exec(page) ?? []
    const rules = [...list.matchAll(/`([^`]+)`/g)].map(([, rule = '']) =>
      /^[~&]/.test(rule) ? rule.replace('PREFIX', 'limited') : `+${rule.toLowerCase()}`,
    )
    expect(rules.length).toBeGreaterThan(8)
    await redis.command('ACL', 'SETUSER', 'cacher', 'on', '>pw', ...rules)
    const limited = createClient({ url: redis.url.replace('redis://', 'redis://cacher:pw@') })
    limited.on('error', () => {})
    await limited.connect()
    const inner = memoryStore()
    const { watch: _, ...mute } = inner
    const over = () =>
      tieredStore({ cache: limited, store: mute, prefix: 'limited', cacheTimeoutMs: PATIENT_MS })
    const [a, b] = [over(), over()]
    const once = createOnce({ store: a, scope: 'limited', cache: false })
    for (let time = 0; time < 5; time++) await once.run({ key: 'k' }, () => 1)
    await until(async () => {
      await once.run({ key: 'k' }, () => 2)
      return a.cacheState().hits > 0
    })
    const id = operationId('limited', 'waited-for')
    const times = { leaseMs: 60_000, retentionMs: 60_000, onCrash: 'hold' } as const
    const reply = await a.claim({ id, owner: 'a', ...times })
    if (reply.state !== 'claimed') throw new Error(reply.state)
    let woken = false
    const stop = new AbortController()
    void b.watch(id, stop.signal).then(() => {
      woken = true
    })
    // The subscription is confirmed some time after the call: a wake before it is not heard.
    await until(
      async () => ((await redis.command('PUBSUB', 'CHANNELS', 'limited:*')) as unknown[]).length > 0,
    )
    await a.complete(reply.claim, { kind: 'value', value: new Uint8Array(1) }, 60_000)
    await until(() => woken)
    expect(a.cacheState()).toMatchObject({ state: 'closed', failures: 0, opened: 0 })
    stop.abort()
    await Promise.all([a.close(), b.close()])
    limited.destroy()
  })
})

await describeWhere('redis', 'a tiered store with its cache in a cluster', () => {
  it.each(['node-redis', 'ioredis'])(
    'answers, forgets and wakes over all nodes by %s',
    async (name) => {
      const cluster = await startRedisCluster()
      const [client, close] = await clusterClient(name, cluster.urls)
      try {
        const inner = memoryStore()
        const { watch: _, ...mute } = inner
        const over = () => tieredStore({ cache: client, store: mute, cacheTimeoutMs: PATIENT_MS })
        const [a, b] = [over(), over()]
        const [one, other] = [a, b].map((store) => createOnce({ store, scope: 'cluster', cache: false }))
        const keys = Array.from({ length: 40 }, (_unused, index) => `k${index}`)
        const all = (once = one, work = (key: string) => key) =>
          Promise.all(keys.map((key) => once?.run({ key }, () => work(key))))
        expect(await all()).toEqual(keys)
        for (const once of [other, one, other]) expect(await all(once, () => 'again')).toEqual(keys)
        await until(async () => {
          await all(other, () => 'again')
          return b.cacheState().hits >= 40
        })
        const slow = one?.run(
          { key: 'slow' },
          () => new Promise((resolve) => setTimeout(resolve, 300, 'done')),
        )
        await until(async () => (await one?.get('slow')) !== undefined)
        expect(await Promise.all([slow, other?.run({ key: 'slow' }, () => 'again')])).toEqual([
          'done',
          'done',
        ])
        expect(a.cacheState()).toMatchObject({ state: 'closed', opened: 0 })
        await Promise.all([a.close(), b.close()])
      } finally {
        close()
        await cluster.stop()
      }
    },
    60_000,
  )
})

async function clusterClient(
  name: string,
  urls: readonly string[],
): Promise<readonly [client: CacheSource, close: () => void]> {
  if (name === 'ioredis') {
    const client = new Cluster(
      urls.map((url) => ({ host: new URL(url).hostname, port: Number(new URL(url).port) })),
    )
    client.on('error', () => {})
    return [client, () => client.disconnect()]
  }
  const client = createCluster({ rootNodes: urls.map((url) => ({ url })) })
  client.on('error', () => {})
  await client.connect()
  return [client, () => client.destroy()]
}
