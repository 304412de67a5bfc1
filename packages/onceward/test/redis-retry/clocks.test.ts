import { expect, it } from 'vitest'
import { describeWhere, faultProxy, startRedis } from '../../../../test-servers/index.mjs'
import { type SafeRedis, safeRedis } from '../../src/redis-retry/index.ts'
import { CLIENTS, failureOf, SINGLE, some } from './retry-kit.ts'

/** A clock that can lag behind the real one, as it does after the machine was suspended. */
function lagging() {
  let lagMs = 0
  return {
    clock: { now: () => Date.now() - lagMs, monotonic: () => performance.now() - lagMs },
    lag(ms: number) {
      lagMs = ms
    },
  }
}

await describeWhere('redis', 'clocks that go wrong', () => {
  const trying = async (
    name: (typeof CLIENTS)[number],
    work: (rig: {
      readonly safe: SafeRedis
      readonly lag: (ms: number) => void
      readonly proxy: Awaited<ReturnType<typeof faultProxy>>
      readonly value: (key: string) => Promise<unknown>
    }) => Promise<void>,
  ) => {
    const server = await startRedis()
    const proxy = await faultProxy({ target: server })
    const { client, close } = await SINGLE[name](proxy.url(server.url))
    const { clock, lag } = lagging()
    const safe = safeRedis(client, { clock, deadlineMs: 10_000, retentionMs: 20_000 })
    await safe.call('INCR', some())
    await work({ safe, lag, proxy, value: (key) => server.command('GET', key) })
    await safe.close()
    close()
    await proxy.stop()
    await server.stop()
  }

  for (const name of CLIENTS) {
    // Less than the retention: refused as late. More: an absent marker proves nothing any more.
    for (const lagMs of [15_000, 3_600_000]) {
      it(`a machine that slept for ${lagMs / 1000} s finds out, and its next command is executed (${name})`, () =>
        trying(name, async ({ safe, lag, value }) => {
          lag(lagMs)
          const key = some()
          expect(await safe.call('INCR', key)).toBe(1)
          expect(await safe.exec('INCR', [key], { opId: key })).toBe(2)
          expect(await safe.exec('INCR', [key], { opId: key })).toBe(2)
          expect(await value(key)).toBe('2')
        }))
    }

    it(`a command that was sent before the machine slept for too long ends in the unknown (${name})`, () =>
      trying(name, async ({ safe, lag, proxy, value }) => {
        const key = some()
        // The reply is lost; until the command is sent again, its marker could have expired.
        proxy.onReply((bytes) => {
          if (bytes.toString().includes('d:1')) {
            lag(-3_600_000)
            return 'cut'
          }
          return undefined
        })
        expect(await failureOf(safe.call('INCR', key))).toMatchObject({ effect: 'unknown' })
        expect(await value(key)).toBe('1')
      }))

    it(`a clock that runs ahead of the server's does no harm (${name})`, () =>
      trying(name, async ({ safe, lag, value }) => {
        lag(-3_600_000)
        const key = some()
        expect(await safe.call('INCR', key)).toBe(1)
        expect(await value(key)).toBe('1')
      }))
  }
})
