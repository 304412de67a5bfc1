import { expect, it } from 'vitest'
import { describeWhere, faultProxy, startRedisReplica } from '../../../../test-servers/index.mjs'
import { CLIENTS, failureOf } from './retry-kit.ts'
import { retryRig } from './retry-rig.ts'
import { steadyTime } from './steady-time.ts'

await describeWhere('redis', 'the last attempts of a call', () => {
  const { ends, serving, open } = retryRig()

  for (const name of CLIENTS) {
    it(`end two attempts after the deadline, wherever in the time the attempts lie (${name})`, async () => {
      const server = await serving()
      const proxy = await faultProxy({ target: server })
      ends.push(() => proxy.stop())
      const { clock, timers, stop } = steadyTime()
      ends.push(stop)
      const { safe } = await open(name, proxy.url(server.url), {
        deadlineMs: 500,
        attemptTimeoutMs: 400,
        clock,
        timers,
      })
      const known = () => safe.exec('INCR', ['k'], { opId: 'first' }).catch(String)
      await expect.poll(known, { timeout: 10_000 }).toBe(1)
      proxy.onRequest(() => 'hold')
      const took = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const begun = clock.monotonic()
          expect(await failureOf(safe.call('INCR', 'k'))).toMatchObject({ code: 'AMBIGUOUS_RESULT' })
          return clock.monotonic() - begun
        }),
      )
      // 500 + 2 × 400; a third attempt would end at 1,700.
      expect(Math.max(...took)).toBeLessThan(1550)
      await proxy.pass()
    }, 20_000)

    it(`tell that replicas did not acknowledge it, whatever became of later attempts (${name})`, async () => {
      const server = await serving()
      const replica = await startRedisReplica(server)
      ends.push(() => replica.stop())
      const proxy = await faultProxy({ target: server })
      ends.push(() => proxy.stop())
      const { clock, timers, stop } = steadyTime()
      ends.push(stop)
      const { safe } = await open(name, proxy.url(server.url), {
        wait: { replicas: 1, timeoutMs: 50 },
        deadlineMs: 1000,
        attemptTimeoutMs: 800,
        clock,
        timers,
      })
      const known = () => safe.exec('INCR', ['k'], { opId: 'first' }).catch(String)
      await expect.poll(known, { timeout: 10_000 }).toBe(1)
      await replica.pause()
      // The first attempt was answered; nobody hears of any other.
      safe.on('retry', () => proxy.dropReplies())
      const error = await failureOf(safe.exec('INCR', ['k'], { opId: 'op' }))
      await replica.resume()
      expect(error).toMatchObject({ code: 'OUTCOME_NOT_STORED', effect: 'done', value: 2 })
      expect(error.message).toMatch(/0 of 1 replicas/)
      expect(proxy.fired).toBeGreaterThan(0)
    }, 30_000)

    it(`tell a reply that was too large to be kept, where replicas did not acknowledge it (${name})`, async () => {
      const server = await serving()
      const replica = await startRedisReplica(server)
      ends.push(() => replica.stop())
      const { clock, timers, stop } = steadyTime()
      ends.push(stop)
      const { safe } = await open(name, server.url, {
        wait: { replicas: 1, timeoutMs: 50 },
        deadlineMs: 1000,
        attemptTimeoutMs: 1000,
        clock,
        timers,
        maxReplyBytes: 100,
      })
      const long = 'x'.repeat(1000)
      await expect.poll(() => safe.call('SET', 'k', long).catch(String), { timeout: 10_000 }).toBe('OK')
      await replica.pause()
      const error = await failureOf(safe.call('GETDEL', 'k'))
      await replica.resume()
      expect(error).toMatchObject({ code: 'OUTCOME_NOT_STORED', effect: 'done', value: long })
    }, 20_000)
  }
})
