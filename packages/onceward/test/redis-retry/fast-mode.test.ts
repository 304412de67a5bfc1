import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  describeWhere,
  type FaultProxy,
  faultProxy,
  type RedisServer,
  startRedis,
} from '../../../../test-servers/index.mjs'
import { type SafeRedis, type SafeRedisOptions, safeRedis } from '../../src/redis-retry/index.ts'
import { CLIENTS, failureOf, SINGLE, some } from './retry-kit.ts'
import { steadyTime } from './steady-time.ts'

/** A deadline that a test waits for. */
const SHORT: SafeRedisOptions = { deadlineMs: 500, attemptTimeoutMs: 200 }

await describeWhere('redis', 'fast mode, where what does the same again is repeated as it is', () => {
  let server: RedisServer
  let proxy: FaultProxy
  beforeAll(async () => {
    server = await startRedis()
    proxy = await faultProxy({ target: server })
  })
  const { clock, timers, stop } = steadyTime()
  afterAll(async () => {
    stop()
    await proxy.stop()
    await server.stop()
  })
  const open = async (
    name: (typeof CLIENTS)[number],
    options: SafeRedisOptions = { attemptTimeoutMs: 5000 },
  ): Promise<{ readonly safe: SafeRedis; end(): Promise<void> }> => {
    await proxy.pass()
    const { client, close } = await SINGLE[name](proxy.url(server.url))
    const safe = safeRedis(client, {
      prefix: some('m'),
      mode: 'fast',
      clock,
      timers,
      ...options,
    })
    await expect.poll(() => safe.call('GET', some()).catch(String), { timeout: 10_000 }).toBe(null)
    return {
      safe,
      async end() {
        await proxy.pass()
        await safe.close()
        close()
      },
    }
  }

  for (const name of CLIENTS) {
    it(`a write that was sent and never answered ends in the unknown (${name})`, async () => {
      const { safe, end } = await open(name, SHORT)
      const key = some()
      proxy.onReply((bytes) => (bytes.includes('+OK') ? 'cut' : undefined))
      expect(await failureOf(safe.call('SET', key, 'v'))).toMatchObject({
        code: 'AMBIGUOUS_RESULT',
        effect: 'unknown',
      })
      await expect.poll(() => server.command('GET', key), { timeout: 10_000 }).toBe('v')
      expect(safe.stats().ambiguous).toBe(1)
      await end()
    })

    it(`a write that is refused to its second attempt may have been executed by the first (${name})`, async () => {
      const { safe, end } = await open(name)
      const list = some()
      await server.command('RPUSH', list, 'a')
      let deleted: Promise<unknown> | undefined
      proxy.onReply((bytes) => {
        if (deleted !== undefined || !bytes.includes('+OK')) return undefined
        // The second attempt has no way to the server before the list is gone.
        void proxy.refuse()
        deleted = server.command('DEL', list).finally(() => proxy.pass())
        return 'cut'
      })
      expect(await failureOf(safe.call('LSET', list, 0, 'b'))).toMatchObject({
        code: 'COMMAND_REFUSED',
        effect: 'unknown',
      })
      expect(await deleted).toBe(1)
      await end()
    })

    it(`a write that was never sent, or refused at once, took no effect (${name})`, async () => {
      const patient = await open(name)
      expect(await failureOf(patient.safe.call('LSET', some(), 0, 'b'))).toMatchObject({
        code: 'COMMAND_REFUSED',
        effect: 'none',
      })
      await patient.end()
      const { safe, end } = await open(name, SHORT)
      await proxy.down()
      const key = some()
      // The first attempt may find a connection that is gone without having been told so.
      await expect
        .poll(async () => (await failureOf(safe.call('SET', key, 'v'))).effect, { timeout: 10_000 })
        .toBe('none')
      await end()
    }, 20_000)
  }
})
