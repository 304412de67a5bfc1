import { expect, it } from 'vitest'
import { describeWhere, startRedisCluster, startRedisSentinel } from '../../../../test-servers/index.mjs'
import { isOncewardError } from '../../src/core/errors.ts'
import { slotOf } from '../../src/drivers/redis/index.ts'
import { type RedisStore, redisStore } from '../../src/stores/redis/index.ts'
import { keyLayout } from '../../src/stores/redis/key-layout.ts'
import { asks, eventually, failureOf, granted, receipt, someId } from './redis-kit.ts'
import { CLUSTER, SENTINEL, somePrefix } from './redis-suite.ts'

/** Claims and completes until told to stop; what fails has to fail with an error of ours that did nothing. */
function traffic(store: RedisStore): { stop(): Promise<number> } {
  let going = true
  let completed = 0
  const worker = async () => {
    while (going) {
      try {
        const reply = await store.claim(asks(someId()))
        if (reply.state === 'claimed' && (await store.complete(reply.claim, receipt(), 60_000))) completed++
      } catch (error) {
        if (!isOncewardError(error) || error.effect !== 'none') throw error
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }
  }
  const workers = Array.from({ length: 16 }, worker)
  return {
    async stop() {
      going = false
      await Promise.all(workers)
      return completed
    },
  }
}

for (const name of ['node-redis', 'ioredis'] as const) {
  await describeWhere('redis', `by ${name}`, () => {
    it('a failover of Sentinel ends in answers or errors of ours, and calls go on at the new primary', async () => {
      const sentinel = await startRedisSentinel()
      const { client, close } = await SENTINEL[name](sentinel.name, sentinel.sentinels)()
      const prefix = somePrefix()
      const store = redisStore(client, { prefix, commandTimeoutMs: 1000 })
      // What the replica has not heard of is lost with the failover.
      const careful = redisStore(client, { prefix, wait: { replicas: 1, timeoutMs: 10_000 } })
      const { claim } = await granted(careful, asks(someId()))
      await careful.close()
      const busy = traffic(store)
      await sentinel.failover()
      await eventually(() => granted(store, asks(someId())))
      const completed = await busy.stop()
      expect(completed).toBeGreaterThan(10)
      expect(await eventually(() => store.complete(claim, receipt(), 60_000))).toBe(true)
      const woken = store.watch(claim.id, new AbortController().signal)
      await woken
      await store.close()
      close()
      await sentinel.stop()
    }, 60_000)

    it('slots that move to another node, key by key, make no difference', async () => {
      const cluster = await startRedisCluster()
      const { client, close } = await CLUSTER[name](cluster.nodes)()
      const prefix = somePrefix()
      const store = redisStore(client, { prefix, commandTimeoutMs: 2000 })
      const request = asks(someId())
      const { claim } = await eventually(() => granted(store, request))
      const bucket = keyLayout(prefix).bucketOf(claim.id.digest)
      const slot = slotOf(bucket.created)
      const from = await cluster.nodeOf(bucket.created)
      const to = cluster.nodes.find((node) => node.port !== from.port)
      if (to === undefined) return expect.fail('there is one node only')
      const busy = traffic(store)
      const move = await cluster.beginSlotMove(slot, to)
      // While the slot is between two nodes its calls may be told to come back later; all others go on.
      const during = await store.claim(asks(claim.id)).catch((error: unknown) => error)
      if (isOncewardError(during)) expect(during).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
      else expect(during).toMatchObject({ state: 'running' })
      await move.finish()
      expect(await eventually(() => store.complete(claim, receipt(), 60_000))).toBe(true)
      expect(await busy.stop()).toBeGreaterThan(10)
      expect((await cluster.nodeOf(bucket.created)).port).toBe(to.port)
      expect((await eventually(() => store.get(claim.id)))?.state).toBe('done')
      // Nobody replicates these nodes, and each of them says so for itself.
      const careful = redisStore(client, { prefix, wait: { replicas: 1, timeoutMs: 50 } })
      const error = await failureOf(careful.claim(asks(someId())))
      expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
      expect(error.message).toMatch(/0 of 1 replicas/)
      await careful.close()
      await store.close()
      close()
      await cluster.stop()
    }, 60_000)
  })
}
