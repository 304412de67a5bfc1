import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWhere, type RedisSentinel, startRedisSentinel } from '../../../../test-servers/index.mjs'
import { safeRedis } from '../../src/redis-retry/index.ts'
import { CLIENTS, SENTINEL, some } from './retry-kit.ts'

await describeWhere('redis', 'a primary behind Sentinel', () => {
  let sentinel: RedisSentinel
  beforeAll(async () => {
    sentinel = await startRedisSentinel()
  }, 60_000)
  afterAll(() => sentinel.stop())

  for (const name of CLIENTS) {
    it(`may change hands: what its replica had acknowledged is executed once (${name})`, async () => {
      const { client, close } = await SENTINEL[name](sentinel.name, sentinel.sentinels)
      const safe = safeRedis(client, {
        prefix: some('m'),
        deadlineMs: 20_000,
        wait: { replicas: 1, timeoutMs: 1000 },
      })
      const key = some()
      expect(await safe.exec('INCR', [key], { opId: key })).toBe(1)
      const calls = Promise.all(Array.from({ length: 20 }, () => safe.call('INCR', key)))
      expect((await calls).length).toBe(20)
      await sentinel.failover()
      await sentinel.settle()
      expect(await safe.exec('INCR', [key], { opId: key })).toBe(1)
      expect(await safe.call('INCR', key)).toBe(22)
      await safe.close()
      close()
    }, 60_000)
  }
})
