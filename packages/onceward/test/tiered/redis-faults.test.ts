import { createClient } from 'redis'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import {
  describeWhere,
  type FaultProxy,
  faultProxy,
  type RedisServer,
  startRedis,
} from '../../../../test-servers/index.mjs'
import { createOnce } from '../../src/core/create-once.ts'
import { operationId } from '../../src/core/identity.ts'
import type { OperationStore } from '../../src/core/store.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { type TieredStore, tieredStore } from '../../src/stores/tiered/index.ts'

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
  beforeEach(() => {
    store = tieredStore<OperationStore>({
      cache: client,
      store: sqliteStore(':memory:'),
      retryAfterMs: 50,
      prefix: `faults-${Math.random().toString(36).slice(2)}`,
    })
    runs.clear()
    return () => store.close()
  })
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
    const going = load()
    await helps()
    await redis.command('FLUSHALL')
    await redis.command('SCRIPT', 'FLUSH')
    await helps()
    await going.stop()
    expect(store.cacheState()).toMatchObject({ state: 'closed', opened: 0 })
  })

  it('holds foreign values under our keys is not believed, and the keys are ours again when asked', async () => {
    const going = load()
    await helps()
    for (const key of (await client.keys('faults-*')) as string[]) {
      await client.del(key)
      await client.hSet(key, 'a', 'hash')
    }
    await helps()
    await going.stop()
    expect(store.cacheState().opened).toBe(0)
  })

  it('answers, keeps entries no longer than the store remembers', async () => {
    const once = createOnce({ store, scope: 'short', retentionMs: 60_000, cache: false })
    for (let time = 0; time < 3; time++) await once.run({ key: 'k' }, () => 1)
    const digest = operationId('short', 'k').digest
    await until(async () => (await client.keys(`*${digest}`)).length === 1)
    const [key = ''] = (await client.keys(`*${digest}`)) as string[]
    const ttl = Number(await client.pTTL(key))
    expect(ttl).toBeGreaterThan(50_000)
    expect(ttl).toBeLessThanOrEqual(60_000)
  })
})
