import { expect, it } from 'vitest'
import { describeWhere, faultProxy, startRedisReplica } from '../../../../test-servers/index.mjs'
import { CLIENTS, failureOf } from './retry-kit.ts'
import { retryRig } from './retry-rig.ts'

await describeWhere('redis', 'the last attempts of a call', () => {
  const { ends, serving, open } = retryRig()

  for (const name of CLIENTS) {
    it(`end two attempts after the deadline, wherever in the time the attempts lie (${name})`, async () => {
      const server = await serving()
      const proxy = await faultProxy({ target: server })
      ends.push(() => proxy.stop())
      const { safe } = await open(name, proxy.url(server.url), { deadlineMs: 500, attemptTimeoutMs: 400 })
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
      const { safe } = await open(name, server.url, {
        wait: { replicas: 1, timeoutMs: 50 },
        deadlineMs: 400,
        attemptTimeoutMs: 200,
        maxReplyBytes: 100,
      })
      const long = 'x'.repeat(1000)
      await safe.call('SET', 'k', long)
      await replica.pause()
      const error = await failureOf(safe.call('GETDEL', 'k'))
      await replica.resume()
      expect(error).toMatchObject({ code: 'OUTCOME_NOT_STORED', effect: 'done', value: long })
    }, 20_000)
  }
})
