import { afterEach, expect, it } from 'vitest'
import { describeWhere, faultProxy, startRedis, startRedisReplica } from '../../../../test-servers/index.mjs'
import { safeRedis } from '../../src/redis-retry/index.ts'
import { CLIENTS, failureOf, SINGLE } from './retry-kit.ts'

await describeWhere('redis', 'the last attempts of a call', () => {
  const ends: (() => unknown)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })
  const serving = async () => {
    const server = await startRedis()
    ends.push(() => server.stop())
    return server
  }

  for (const name of CLIENTS) {
    it(`end two attempts after the deadline, wherever in the time the attempts lie (${name})`, async () => {
      const server = await serving()
      const proxy = await faultProxy({ target: server })
      ends.push(() => proxy.stop())
      const { client, close } = await SINGLE[name](proxy.url(server.url))
      const safe = safeRedis(client, { deadlineMs: 500, attemptTimeoutMs: 400 })
      ends.push(close, () => safe.close())
      await safe.call('INCR', 'k')
      proxy.onRequest(() => 'hold')
      const took = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const begun = performance.now()
          expect(await failureOf(safe.call('INCR', 'k'))).toMatchObject({ code: 'AMBIGUOUS_RESULT' })
          return performance.now() - begun
        }),
      )
      // 500 + 2 × 400; a third attempt would end at 1,700.
      expect(Math.max(...took)).toBeLessThan(1550)
      await proxy.pass()
    }, 20_000)

    it(`tell a reply that was too large to be kept, where replicas did not acknowledge it (${name})`, async () => {
      const server = await serving()
      const replica = await startRedisReplica(server)
      ends.push(() => replica.stop())
      const { client, close } = await SINGLE[name](server.url)
      const safe = safeRedis(client, {
        wait: { replicas: 1, timeoutMs: 50 },
        deadlineMs: 400,
        attemptTimeoutMs: 200,
        maxReplyBytes: 100,
      })
      ends.push(close, () => safe.close())
      const long = 'x'.repeat(1000)
      await safe.call('SET', 'k', long)
      await replica.pause()
      const error = await failureOf(safe.call('GETDEL', 'k'))
      await replica.resume()
      expect(error).toMatchObject({ code: 'OUTCOME_NOT_STORED', effect: 'done', value: long })
    }, 20_000)
  }
})
