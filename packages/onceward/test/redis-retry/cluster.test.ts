import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWhere, type RedisCluster, startRedisCluster } from '../../../../test-servers/index.mjs'
import { slotOf } from '../../src/drivers/redis/key-slot.ts'
import { type SafeRedis, safeRedis } from '../../src/redis-retry/index.ts'
import { CLIENTS, CLUSTER, failureOf, some } from './retry-kit.ts'

await describeWhere('redis', 'a cluster', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await startRedisCluster()
  }, 60_000)
  afterAll(() => cluster.stop())

  const opened = async (
    name: (typeof CLIENTS)[number],
  ): Promise<{ readonly safe: SafeRedis; end(): Promise<void> }> => {
    const { client, close } = await CLUSTER[name](cluster.nodes)
    const safe = safeRedis(client, { prefix: some('m') })
    return {
      safe,
      async end() {
        await safe.close()
        close()
      },
    }
  }

  for (const name of CLIENTS) {
    it(`remembers each operation where its keys are, however they are written (${name})`, async () => {
      const { safe, end } = await opened(name)
      const tag = some()
      const keys = [
        some(),
        `{${tag}}a`,
        `${tag}{}b`,
        `${tag}{{x}y}`,
        `}${tag}{`,
        `{${tag}`,
        Buffer.from([0xff, 0xfe, 0x7b, 0x80, 0x7d, 1]),
      ]
      for (const key of keys) {
        await safe.call('DEL', key)
        expect(await safe.exec('INCR', [key], { opId: `${tag}:${String(key)}` })).toBe(1)
        expect(await safe.exec('INCR', [key], { opId: `${tag}:${String(key)}` })).toBe(1)
        expect(await safe.call('GET', key)).toBe('1')
      }
      expect(
        await Promise.all(Array.from({ length: 200 }, (_, at) => safe.call('INCR', `${tag}:${at}`))),
      ).toEqual(Array.from({ length: 200 }, () => 1))
      await end()
    })

    it(`refuses keys that lie in several slots, and executes nothing (${name})`, async () => {
      const { safe, end } = await opened(name)
      const [a, b] = [some(), some()]
      expect(slotOf(a)).not.toBe(slotOf(b))
      const error = await failureOf(safe.call('MSET', a, '1', b, '2'))
      expect(error).toMatchObject({ code: 'COMMAND_REFUSED', effect: 'none' })
      expect(error.message).toMatch(/^CROSSSLOT/)
      expect(await safe.call('GET', a)).toBe(null)
      expect(
        await safe.atomic([
          ['INCR', `{${a}}x`],
          ['INCR', `{${a}}y`],
        ]),
      ).toEqual([1, 1])
      await end()
    })

    it(`follows slots that move, and executes each command once meanwhile (${name})`, async () => {
      const { safe, end } = await opened(name)
      const key = `{${some()}}n`
      const slot = slotOf(key)
      const from = await cluster.nodeOf(key)
      const to = cluster.nodes.find((node) => node.port !== from.port) as (typeof cluster.nodes)[number]
      await safe.call('INCR', key)
      const named = await safe.exec('INCR', [key], { opId: key })
      let moving = true
      const counted: unknown[] = []
      const work = (async () => {
        while (moving) counted.push(...(await Promise.all([1, 2, 3].map(() => safe.call('INCR', key)))))
      })()
      await cluster.moveSlot(slot, to)
      expect(await safe.exec('INCR', [key], { opId: key })).toBe(named)
      moving = false
      await work
      expect(new Set(counted).size).toBe(counted.length)
      expect(Number(await safe.call('GET', key))).toBe(counted.length + 2)
      await end()
    }, 30_000)

    it(`sends commands without a key to some node (${name})`, async () => {
      const { safe, end } = await opened(name)
      expect(await safe.call('PUBLISH', some('channel'), 'hello')).toBe(0)
      expect(await safe.call('PING')).toBe('PONG')
      await end()
    })
  }
})
