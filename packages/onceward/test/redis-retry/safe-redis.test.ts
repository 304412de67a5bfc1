import { expect, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import type { SafeRedisOptions } from '../../src/redis-retry/index.ts'
import { CLIENTS, failureOf, some } from './retry-kit.ts'
import { retryRig } from './retry-rig.ts'

await describeWith('redis', 'a Redis client that retries safely', ({ redis }) => {
  const rig = retryRig()
  const open = (name: (typeof CLIENTS)[number], options: SafeRedisOptions = {}, ofClient: object = {}) =>
    rig.open(name, redis.url, { prefix: some('m'), ...options }, ofClient)

  for (const name of CLIENTS) {
    it(`answers as the bare client does (${name})`, async () => {
      const { safe, bare } = await open(name)
      const key = some()
      expect(await safe.call('INCR', key)).toBe(1)
      expect(await safe.call('SET', key, 'äöü')).toBe('OK')
      expect(await safe.call('GET', key)).toBe('äöü')
      expect(await safe.call('SET', key, '1', 'NX')).toBe(null)
      expect(await bare('GET', key)).toBe('äöü')
      expect(await safe.call('RPUSH', some(), 'a', 1, 2n, Buffer.from('b'))).toBe(4)
    })

    it(`tells the server's own error and executes nothing (${name})`, async () => {
      const { safe } = await open(name)
      const key = some()
      await safe.call('SET', key, 'text')
      expect(await failureOf(safe.call('INCR', key))).toMatchObject({
        code: 'COMMAND_REFUSED',
        effect: 'none',
        message: 'ERR value is not an integer or out of range',
      })
      expect(await failureOf(safe.call('INCR', key, 'x'))).toMatchObject({
        code: 'COMMAND_REFUSED',
        message: "ERR wrong number of arguments for 'incr' command",
      })
      expect(await failureOf(safe.call('LPUSH', key, 'x'))).toMatchObject({
        message: expect.stringMatching(/^WRONGTYPE /),
      })
      expect(await failureOf(safe.call('NOSUCH', key))).toMatchObject({
        code: 'COMMAND_REFUSED',
        effect: 'none',
        message: expect.stringMatching(/^ERR unknown command 'NOSUCH'/i),
      })
    })

    it(`executes a named operation once, from whatever process it is repeated (${name})`, async () => {
      const prefix = some('m')
      const [one, other] = [await open(name, { prefix }), await open(name, { prefix })]
      const key = some()
      const opId = 'order 42 {x}'
      expect(await one.safe.exec('INCRBY', [key, 5], { opId })).toBe(5)
      expect(await other.safe.exec('incrby', [key, '5'], { opId })).toBe(5)
      expect(await one.safe.call('GET', key)).toBe('5')
      expect(other.safe.stats()).toMatchObject({ replays: 1, calls: 1 })
      expect(await failureOf(other.safe.exec('INCRBY', [key, 6], { opId }))).toMatchObject({
        code: 'KEY_REUSED',
        effect: 'none',
      })
      expect(await one.safe.call('GET', key)).toBe('5')
    })

    it(`executes several commands as one, once (${name})`, async () => {
      const { safe } = await open(name)
      const [a, b] = [some(), some()]
      const commands = [
        ['INCR', a],
        ['RPUSH', b, 'x', 'y'],
        ['GET', a],
      ] as const
      expect(await safe.atomic(commands, { opId: a })).toEqual([1, 2, '1'])
      expect(await safe.atomic(commands, { opId: a })).toEqual([1, 2, '1'])
      const error = await failureOf(
        safe.atomic([
          ['INCR', a],
          ['INCR', b],
        ]),
      )
      expect(error).toMatchObject({ code: 'COMMAND_REFUSED', effect: 'done' })
      expect(error.message).toMatch(/command 2 of 2 \(INCR\) was answered "WRONGTYPE/)
      expect(error.value).toMatchObject([2, { code: 'COMMAND_REFUSED' }])
    })
  }
})
