import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import {
  describeWhere,
  type FaultProxy,
  faultProxy,
  type RedisServer,
  startRedis,
} from '../../../../../test-servers/index.mjs'
import { asksFor } from '../../../test/redis/lock-kit.ts'
import { failureOf } from '../../../test/redis/redis-kit.ts'
import { type OpenClient, SINGLE } from '../../../test/redis/redis-suite.ts'
import { systemClock, systemTimers } from '../../core/system.ts'
import { createLocks } from '../create-locks.ts'
import type { LockBackend } from '../lock-backend.ts'
import { redlock } from './index.ts'
import { redlockScripts } from './redlock-scripts.ts'
import { redlockServer } from './redlock-server.ts'

// On a busy machine a server takes its time for what it brings to the disk.
vi.setConfig({ testTimeout: 60_000 })

/** Where servers are silent; everywhere else a busy machine has the time that it needs. */
const TIMEOUT_MS = 1000
/** What ends within its time has ended by then, on a busy machine too. */
const BOUND_MS = 5000

await describeWhere('redis', 'redlock', () => {
  let servers: readonly RedisServer[]
  let proxies: readonly FaultProxy[]
  let clients: OpenClient[]
  let a: LockBackend
  let b: LockBackend
  /** As `a` and `b`, and waits for no server longer than a second. */
  let hastyA: LockBackend
  let hastyB: LockBackend
  const unhandled: unknown[] = []
  const note = (reason: unknown) => unhandled.push(reason)

  beforeAll(async () => {
    process.on('unhandledRejection', note)
    servers = await Promise.all([startRedis(), startRedis(), startRedis()])
  })
  beforeEach(async () => {
    for (const server of servers) await server.command('FLUSHALL')
    proxies = await Promise.all(servers.map((target) => faultProxy({ target })))
    const through = proxies.map((proxy) => proxy.url('redis://127.0.0.1'))
    const [one, two] = [
      await Promise.all(through.map((url) => SINGLE['node-redis'](url)())),
      await Promise.all(servers.map(({ url }) => SINGLE.ioredis(url)())),
    ]
    clients = [...one, ...two]
    const locks = (some: readonly OpenClient[], commandTimeoutMs: number) =>
      redlock(
        some.map(({ client }) => client),
        { commandTimeoutMs },
      )
    ;[a, b] = [locks(one, 4 * BOUND_MS), locks(two, 4 * BOUND_MS)]
    ;[hastyA, hastyB] = [locks(one, TIMEOUT_MS), locks(two, TIMEOUT_MS)]
    await Promise.all([a.inspect('k'), b.inspect('k')])
  })
  afterEach(async () => {
    for (const server of servers) await server.resume()
    await Promise.all([a, b, hastyA, hastyB].map((locks) => locks.close()))
    for (const { close } of clients) close()
    for (const proxy of proxies) await proxy.stop()
  })
  afterAll(async () => {
    for (const server of servers) await server.stop()
    process.off('unhandledRejection', note)
    expect(unhandled).toEqual([])
  })

  const keysLeft = async () =>
    (await Promise.all(servers.map((server) => server.command('DBSIZE')))).map(Number)
  const proxied = (place: number): FaultProxy => proxies[place] as FaultProxy
  const within = async <T>(ms: number, call: () => Promise<T>): Promise<T> => {
    const started = performance.now()
    const value = await call()
    expect(performance.now() - started).toBeLessThan(ms)
    return value
  }

  it('refuses a number of servers that has no majority, with the mend', () => {
    const list = clients.map(({ client }) => client)
    const wrong = [
      [[], /at least 3/],
      [list.slice(0, 1), /redisLocks/],
      [list.slice(0, 2), /at least 3/],
      [list.slice(0, 4), /odd number.*votes tie/],
      [[list[0], list[1], list[0]], /same client twice/],
      [list[0], /list of clients/],
      [[list[0], list[1], {}], /needs a Redis client/],
    ] as const
    for (const [given, message] of wrong) {
      expect(() => redlock(given as never)).toThrow(TypeError)
      expect(() => redlock(given as never)).toThrow(message)
    }
    expect(() => redlock(list.slice(0, 3), { retryCount: 3 } as never)).toThrow(/retryCount/)
  })

  it('goes on with a server down, and the lock is held alone', async () => {
    proxied(0).blackHole()
    const held = asksFor('k')
    expect(await within(BOUND_MS, () => a.acquire(held))).toEqual({ granted: true })
    expect(await b.acquire(asksFor('k'))).toMatchObject({ granted: false })
    expect(await a.extend([held])).toEqual([true])
    expect((await a.inspect('k'))?.holders).toHaveLength(1)
    expect(await a.release(held)).toEqual({ released: true })
    expect(await b.acquire(asksFor('k'))).toEqual({ granted: true })
  })

  it('says that a majority is unreachable, within its time, and leaves nothing when it is back', async () => {
    const held = asksFor('held')
    await a.acquire(held)
    for (const place of [0, 1]) proxied(place).blackHole()
    const calls = [
      () => hastyA.acquire(asksFor('k')),
      () => hastyA.extend([held]),
      () => hastyA.release(held),
      () => hastyA.inspect('k'),
      () => hastyA.transfer(held, asksFor('held')),
      () => hastyA.forceRelease({ key: 'other', by: 'ada', reason: 'it hangs' }),
    ]
    await within(BOUND_MS, () =>
      Promise.all(
        calls.map(async (call) => {
          const error = await failureOf(call())
          expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
          expect(error.message).toMatch(/2 of 3 Redis servers failed/)
        }),
      ),
    )
    for (const place of [0, 1]) await proxied(place).pass()
    await expect.poll(keysLeft, { timeout: 10_000 }).toEqual([0, 0, 0])
  })

  it('takes back a grant whose replies were lost, so that it does not block its own process until the ttl', async () => {
    for (const place of [0, 1]) proxied(place).dropReplies()
    const error = await failureOf(hastyA.acquire(asksFor('k')))
    expect(error.code).toBe('STORE_UNAVAILABLE')
    for (const place of [0, 1]) expect(proxied(place).fired).toBeGreaterThan(0)
    for (const place of [0, 1]) await proxied(place).pass()
    await expect.poll(keysLeft, { timeout: 10_000 }).toEqual([0, 0, 0])
    expect(await b.acquire(asksFor('k'))).toEqual({ granted: true })
  })

  it('leaves a second attempt of a token alone when what takes back the first comes late', async () => {
    const options = { prefix: 'onceward', commandTimeoutMs: TIMEOUT_MS, allowEviction: false }
    const server = redlockServer((clients[0] as OpenClient).client, {
      options,
      scripts: redlockScripts(),
      clock: systemClock,
      timers: systemTimers,
    })
    const held = asksFor('k')
    for (const attempt of ['first', 'second']) {
      expect(await server.run('acquire', 'k', [held.token, attempt, '60000', 'worker 1', ''])).toEqual([1])
    }
    await server.undo(held, 'first', 1000)
    expect(await keysLeft()).toEqual([1, 0, 0])
    await server.undo(held, 'second', 1000)
    expect(await keysLeft()).toEqual([0, 0, 0])
    server.close()
  })

  it('does not call granted what came too late to be of use', async () => {
    const ttlMs = 200
    for (const place of [0, 1, 2]) proxied(place).delay(100, 'both')
    const reply = await a.acquire(asksFor('k', { ttlMs }))
    expect(reply.granted).toBe(false)
    for (const place of [0, 1, 2]) await proxied(place).pass()
    await expect.poll(keysLeft).toEqual([0, 0, 0])
  })

  it('settles a vote that nobody wins: it gives back what it has, and asking again soon is worth it', async () => {
    const probe = asksFor('k')
    await b.acquire(probe)
    await expect.poll(keysLeft).toEqual([1, 1, 1])
    const [key] = ((await servers[0]?.command('KEYS', '*')) ?? []) as string[]
    await b.release(probe)
    await expect.poll(keysLeft).toEqual([0, 0, 0])
    const another = `R1${JSON.stringify([['another', 'one', Date.now() + 60_000, 'worker 2', false], []])}`
    await servers[0]?.command('SET', String(key), another, 'PX', '60000')
    await servers[2]?.pause()
    const reply = await within(BOUND_MS, () => hastyA.acquire(asksFor('k')))
    expect(reply.granted).toBe(false)
    expect(!reply.granted && reply.retryAfterMs).toBeLessThanOrEqual(50)
    expect(await servers[1]?.command('DBSIZE')).toBe(0)
    await servers[0]?.command('DEL', String(key))
    expect(await a.acquire(asksFor('k'))).toEqual({ granted: true })
    await servers[2]?.resume()
  })

  it('gives twenty contenders the lock one after the other, with one server down', async () => {
    await servers[0]?.pause()
    let inside = 0
    let most = 0
    let served = 0
    // On a busy machine the two that are left may answer too late, and are asked again.
    const settled = <T>(ask: () => Promise<T>) =>
      vi.waitFor(ask, { timeout: 20_000, interval: 50 }) as Promise<T>
    const work = async (backend: LockBackend) => {
      for (;;) {
        const mine = asksFor('k')
        const reply = await settled(() => backend.acquire(mine))
        if (reply.granted) {
          most = Math.max(most, ++inside)
          await new Promise((resolve) => setImmediate(resolve))
          inside--
          served++
          await settled(() => backend.release(mine))
          return
        }
        await new Promise((resolve) => setTimeout(resolve, Math.min(reply.retryAfterMs, 50 * Math.random())))
      }
    }
    await Promise.all(Array.from({ length: 20 }, (_, number) => work(number % 2 ? hastyA : hastyB)))
    expect({ served, most }).toEqual({ served: 20, most: 1 })
  }, 60_000)

  it('neither masks the failure of the work nor holds it up when the lock was lost meanwhile', async () => {
    const locks = createLocks(a, { ttlMs: 60_000 })
    const failure = new Error('the work failed')
    await within(BOUND_MS, async () => {
      const outcome = locks.using('k', {}, async (lease) => {
        expect(lease.fence).toBeUndefined()
        for (const server of servers) await server.command('FLUSHALL')
        throw failure
      })
      await expect(outcome).rejects.toBe(failure)
    })
    await locks.close()
  })

  it('answers at once that a lost lock is not held, and touches nobody else', async () => {
    const lost = asksFor('k', { ttlMs: 100 })
    await a.acquire(lost)
    await expect.poll(() => b.inspect('k')).toBeUndefined()
    const other = asksFor('k')
    expect(await b.acquire(other)).toEqual({ granted: true })
    expect(await within(BOUND_MS, () => a.release(lost))).toEqual({ released: false })
    expect(await a.extend([lost])).toEqual([false])
    expect((await b.inspect('k'))?.holders).toHaveLength(1)
  })

  it('is lost when most servers have forgotten it, and not before', async () => {
    const held = asksFor('k')
    await a.acquire(held)
    await expect.poll(keysLeft).toEqual([1, 1, 1])
    await servers[0]?.command('FLUSHALL')
    expect(await a.extend([held])).toEqual([true])
    expect(await b.acquire(asksFor('k'))).toMatchObject({ granted: false })
    await servers[1]?.command('FLUSHALL')
    expect(await a.extend([held])).toEqual([false])
    expect((await a.inspect('k'))?.holders ?? []).toEqual([])
  })

  it('leaves something else under its key alone, and says which key that is', async () => {
    await a.acquire(asksFor('k'))
    await expect.poll(keysLeft).toEqual([1, 1, 1])
    const [key] = ((await servers[0]?.command('KEYS', '*')) ?? []) as string[]
    for (const server of servers.slice(0, 2)) {
      await server.command('DEL', String(key))
      await server.command('RPUSH', String(key), 'x')
    }
    const error = await failureOf(a.acquire(asksFor('k')))
    expect(error).toMatchObject({ code: 'STORE_CORRUPT', effect: 'none' })
    expect(error.message).toContain(key)
    expect(await servers[0]?.command('LRANGE', String(key), '0', '-1')).toEqual(['x'])
  })

  it('refuses most servers that may throw locks away', async () => {
    for (const server of servers.slice(0, 2))
      await server.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
    const fresh = redlock(clients.slice(3).map(({ client }) => client))
    const error = await failureOf(fresh.acquire(asksFor('k')))
    expect(error.code).toBe('STORE_MISCONFIGURED')
    for (const server of servers) await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    expect(await fresh.acquire(asksFor('k'))).toEqual({ granted: true })
  })
})
