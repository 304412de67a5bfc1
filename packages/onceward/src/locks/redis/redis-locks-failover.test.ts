import { expect, it } from 'vitest'
import {
  describeWhere,
  startRedis,
  startRedisReplica,
  startRedisSentinel,
} from '../../../../../test-servers/index.mjs'
import { asksFor, eventuallyHeldBy } from '../../../test/redis/lock-kit.ts'
import { eventually, failureOf } from '../../../test/redis/redis-kit.ts'
import { SENTINEL, SINGLE, somePrefix } from '../../../test/redis/redis-suite.ts'
import { redisLocks } from './index.ts'

await describeWhere('redis', 'locks on servers that fail', () => {
  for (const name of ['node-redis', 'ioredis'] as const) {
    it(`are kept through a failover of Sentinel, by ${name}`, async () => {
      const sentinel = await startRedisSentinel()
      const { client, close } = await SENTINEL[name](sentinel.name, sentinel.sentinels)()
      const locks = redisLocks(client, {
        prefix: somePrefix(),
        commandTimeoutMs: 1000,
        wait: { replicas: 1, timeoutMs: 1000 },
      })
      const held = await eventuallyHeldBy(locks, 'k')
      await sentinel.failover()
      // The old primary has no replica any more, so what it answers for a moment longer is not acknowledged.
      expect(await eventually(() => locks.extend([held]))).toEqual([true])
      expect(await eventually(() => locks.acquire(asksFor('k')))).toMatchObject({ granted: false })
      // Of one that was carried out and not acknowledged, a repetition answers that there was nothing to release.
      await eventually(() => locks.release(held))
      expect((await eventuallyHeldBy(locks, 'k')).fence).toBeGreaterThan(held.fence)
      await locks.close()
      close()
      await sentinel.stop()
    }, 60_000)
  }

  it('that a failover has lost are granted to another with a greater fence, and their holder is told at the next extension', async () => {
    const sentinel = await startRedisSentinel()
    const { client, close } = await SENTINEL.ioredis(sentinel.name, sentinel.sentinels)()
    const locks = redisLocks(client, { prefix: somePrefix(), commandTimeoutMs: 1000 })
    const kept = await eventuallyHeldBy(locks, 'kept')
    const [primary, replica] = sentinel.nodes
    if (primary === undefined || replica === undefined) return expect.fail('there is no replica')
    await expect.poll(async () => String(await replica.command('DBSIZE'))).toBe('1')
    await replica.pause()
    await primary.command('CLIENT', 'KILL', 'TYPE', 'replica')
    const held = await eventuallyHeldBy(locks, 'k', { fences: 33 })
    await primary.kill()
    await replica.resume()
    await sentinel.failedOver(primary)
    const other = await eventuallyHeldBy(locks, 'k')
    expect(other.fence).toBeGreaterThan(held.fence + 32)
    expect(await locks.extend([held, kept])).toEqual([false, true])
    expect(await locks.release(held)).toEqual({ released: false })
    expect(await locks.release(other)).toEqual({ released: true })
    await locks.close()
    close()
    await sentinel.stop()
  }, 60_000)

  it('are not granted where too few replicas acknowledge them', async () => {
    const server = await startRedis()
    const replica = await startRedisReplica(server)
    const { client, close } = await SINGLE.ioredis(server.url)()
    const locks = redisLocks(client, { prefix: somePrefix(), wait: { replicas: 1, timeoutMs: 200 } })
    const held = await eventuallyHeldBy(locks, 'k')
    await replica.pause()
    for (const call of [() => locks.acquire(asksFor('other')), () => locks.extend([held])]) {
      const error = await failureOf(call())
      expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
      expect(error.message).toMatch(/0 of 1 replicas/)
    }
    // To give a lock back needs nobody.
    expect(await locks.release(held)).toEqual({ released: true })
    await replica.resume()
    await eventuallyHeldBy(locks, 'k')
    await locks.close()
    close()
    await replica.stop()
    await server.stop()
  }, 60_000)

  it('are told in time that the server is gone, and go on with greater fences when it is back, by either client', async () => {
    const server = await startRedis()
    for (const name of ['node-redis', 'ioredis'] as const) {
      const { client, close } = await SINGLE[name](server.url)()
      const locks = redisLocks(client, { prefix: somePrefix(), commandTimeoutMs: 500 })
      const held = await eventuallyHeldBy(locks, 'k')
      await server.kill()
      for (const call of [
        () => locks.acquire(asksFor('k')),
        () => locks.extend([held]),
        () => locks.release(held),
      ]) {
        const error = await failureOf(call())
        expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
        expect(error.retryAfterMs).toBeGreaterThan(0)
      }
      await server.restart()
      const other = await eventuallyHeldBy(locks, 'k')
      expect(other.fence).toBeGreaterThan(held.fence)
      expect(await eventually(() => locks.extend([held]))).toEqual([false])
      await locks.close()
      close()
    }
    await server.stop()
  }, 60_000)

  it('are refused by a read-only replica', async () => {
    const server = await startRedis()
    const replica = await startRedisReplica(server)
    const { client, close } = await SINGLE.ioredis(replica.url)()
    const locks = redisLocks(client, { prefix: somePrefix() })
    const error = await failureOf(locks.acquire(asksFor('k')))
    expect(error).toMatchObject({ code: 'STORE_READ_ONLY', effect: 'none' })
    expect(error.message).toMatch(/primary/)
    expect((await locks.doctor()).find(({ check }) => check === 'role')?.level).toBe('fail')
    await locks.close()
    close()
    await replica.stop()
    await server.stop()
  }, 60_000)
})
