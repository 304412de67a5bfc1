import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeWith } from '../../../../../test-servers/index.mjs'
import { type RedisConnection, redisConnection, redisScript, slotOf } from './index.ts'

const ECHO = redisScript('return {ARGV[1], #KEYS, 7}')

await describeWith('redis', 'a connection to Redis', ({ redis }) => {
  const open = {
    async 'node-redis'() {
      const client = createClient({ url: redis.url })
      client.on('error', () => {})
      await client.connect()
      return { client, close: async () => client.destroy() }
    },
    async ioredis() {
      const client = new Redis(redis.url)
      return { client, close: async () => client.disconnect() }
    },
  }

  it('waits for a client that is away with one listener, however many calls wait', async () => {
    const away = new Redis(1, '127.0.0.1', { retryStrategy: () => 60_000 })
    away.on('error', () => {})
    // While it connects ioredis listens too.
    await new Promise((resolve) => away.once('close', () => resolve(undefined)))
    const before = away.listenerCount('ready')
    const connection = redisConnection('the test', away, { timeoutMs: 100 })
    const calls = Array.from({ length: 50 }, () => connection.command(['PING']))
    expect(away.listenerCount('ready')).toBe(before + 1)
    for (const call of await Promise.allSettled(calls))
      expect(call).toMatchObject({
        status: 'rejected',
        reason: { code: 'STORE_UNAVAILABLE', effect: 'none' },
      })
    expect(away.listenerCount('ready')).toBe(before)
    connection.close()
    away.disconnect()
  })

  for (const [name, connect] of Object.entries(open)) {
    describe(`by ${name}`, () => {
      let connection: RedisConnection
      let close: () => Promise<void>
      beforeAll(async () => {
        const opened = await connect()
        connection = redisConnection('the test', opened.client)
        close = opened.close
      })
      afterAll(async () => {
        connection.close()
        await close()
      })

      it('answers every byte as it was sent', async () => {
        const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
        await connection.command(['SET', `driver:${name}:bytes`, bytes, 'PX', '60000'])
        expect(await connection.command(['GET', `driver:${name}:bytes`])).toEqual(bytes)
      })

      it('runs a script whose text the server does not know yet', async () => {
        const fresh = redisScript(`${ECHO.text} --[[ ${name} ${process.pid} ${Math.random()} ]]`)
        const argument = Buffer.from([0, 255, 128, 10, 13])
        expect(await connection.script(fresh, [`driver:${name}`], [argument])).toEqual([argument, 1, 7])
        expect(await connection.script(fresh, [], ['x'])).toEqual([Buffer.from('x'), 0, 7])
      })

      it('hears what is published from the moment it was told so', async () => {
        const channel = `driver:${name}:channel`
        let leave = () => {}
        const payload = await new Promise<string>((heard) => {
          leave = connection.subscribe(channel, {
            up: () => void connection.command(['PUBLISH', channel, 'some text, ä 🔑']),
            message: heard,
          })
        })
        expect(payload).toBe('some text, ä 🔑')
        expect(connection.isListening()).toBe(true)
        leave()
      })

      it('refuses calls once it is closed', async () => {
        const opened = await connect()
        const closed = redisConnection('the test', opened.client)
        closed.close()
        await expect(closed.command(['PING'])).rejects.toMatchObject({ code: 'CLOSED', effect: 'none' })
        await opened.close()
      })
    })
  }
})

describe('the slot of a key', () => {
  it('is that of its hash tag, as the cluster specification has it', () => {
    expect(slotOf('123456789')).toBe(0x31c3)
    expect(slotOf('a:{user1000}.b')).toBe(slotOf('user1000'))
    expect(slotOf('foo{}{bar}')).not.toBe(slotOf('bar'))
    expect(slotOf('foo{{bar}}zap')).toBe(slotOf('{bar'))
  })
})
