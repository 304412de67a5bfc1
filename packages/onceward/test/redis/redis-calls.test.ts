import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { describeWhere, describeWith, type RedisServer, startRedis } from '../../../../test-servers/index.mjs'
import { slotOf } from '../../src/drivers/redis/index.ts'
import { type RedisStore, redisStore } from '../../src/stores/redis/index.ts'
import { keyLayout } from '../../src/stores/redis/key-layout.ts'
import { asks, failureOf, granted, receipt, someId } from './redis-kit.ts'
import { type OpenClient, SINGLE, somePrefix } from './redis-suite.ts'

for (const name of ['node-redis', 'ioredis'] as const) {
  await describeWhere('redis', `calls of the Redis store by ${name}`, () => {
    let server: RedisServer
    let opened: OpenClient
    let store: RedisStore
    let prefix: string
    beforeAll(async () => {
      server = await startRedis()
      opened = await SINGLE[name](server.url)()
    })
    afterAll(async () => {
      opened.close()
      await server.stop()
    })
    beforeEach(async () => {
      prefix = somePrefix()
      store = redisStore(opened.client, { prefix })
      await store.get(someId())
      return () => store.close()
    })

    const scriptCalls = async () => {
      const stats = String(await server.command('INFO', 'commandstats'))
      return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0)
    }
    const keyOf = (digest: string) => keyLayout(prefix).bucketOf(digest).record + digest

    it('sends what was asked in one turn of the event loop in one call, whatever it is', async () => {
      const done = someId()
      const { claim } = await granted(store, asks(done))
      const before = await scriptCalls()
      const claims = Array.from({ length: 200 }, () => store.claim(asks(someId())))
      await Promise.all([
        ...claims,
        store.renew(claim, 1000),
        store.get(done),
        store.complete(claim, receipt(), 1000),
      ])
      expect(await scriptCalls()).toBe(before + 1)
    })

    it('sends at most maxBatch transitions in one call', async () => {
      const small = redisStore(opened.client, { prefix, maxBatch: 10 })
      await small.get(someId())
      const before = await scriptCalls()
      const replies = await Promise.all(Array.from({ length: 35 }, () => small.claim(asks(someId()))))
      expect(new Set(replies.map((reply) => reply.state))).toEqual(new Set(['claimed']))
      expect(await scriptCalls()).toBe(before + 4)
      await small.close()
    })

    it('takes 4,096 transitions in one call, some of them twice', async () => {
      const large = redisStore(opened.client, { prefix, maxBatch: 4096 })
      await large.get(someId())
      const before = await scriptCalls()
      const ids = Array.from({ length: 4000 }, () => someId())
      const claims = await Promise.all(ids.map((id) => granted(large, asks(id))))
      expect(await scriptCalls()).toBe(before + 1)
      const again = ids.slice(0, 96)
      const ends = await Promise.all([
        ...claims.map(({ claim }) => large.complete(claim, receipt(), 60_000)),
        ...again.map(async (id) => (await large.claim(asks(id))).state === 'done'),
      ])
      expect(new Set(ends)).toEqual(new Set([true]))
      expect((await large.stats()).done).toBe(4000)
      await large.close()
    })

    it('shows each item of a call what those before it have done to its record', async () => {
      const id = someId()
      const [first, second, seen] = await Promise.all([
        store.claim(asks(id)),
        store.claim(asks(id)),
        store.get(id),
      ])
      expect([first.state, second.state, seen?.state]).toEqual(['claimed', 'running', 'running'])
      if (first.state !== 'claimed') return expect.fail(first.state)
      const claim = first.claim
      const [ended, endedAgain, held, late] = await Promise.all([
        store.complete(claim, receipt(), 60_000),
        store.complete(claim, receipt(), 60_000),
        store.hold(claim, 'too late'),
        store.claim(asks(id)),
      ])
      expect([ended, endedAgain, held, late.state]).toEqual([true, true, false, 'done'])
      expect(await store.stats()).toMatchObject({ done: 1, running: 0, held: 0 })
    })

    it('tells an index that is something else, and serves the other buckets of that call', async () => {
      const layout = keyLayout(prefix)
      const of = (bucket: number) => {
        for (;;) {
          const id = someId()
          if (layout.bucketOf(id.digest).number === bucket) return id
        }
      }
      const { claim } = await granted(store, asks(of(3)))
      await server.command('DEL', layout.buckets[3]?.state ?? '')
      await server.command('SET', layout.buckets[3]?.state ?? '', 'x')
      const [first, second, third] = await Promise.all([
        failureOf(store.claim(asks(of(3)))),
        failureOf(store.complete(claim, receipt(), 1000)),
        store.claim(asks(of(4))),
      ])
      expect([first.code, second.code, third.state]).toEqual(['STORE_CORRUPT', 'STORE_CORRUPT', 'claimed'])
      for (const { message } of [first, second]) expect(message).toContain(layout.buckets[3]?.state)
    })

    it('decides nothing where the audit cannot be written', async () => {
      const { claim } = await granted(store, asks(someId()))
      await store.hold(claim, 'no reply')
      const { audit } = keyLayout(prefix).bucketOf(claim.id.digest)
      await server.command('SET', audit, 'x')
      const as = { state: 'released' } as const
      const decide = () => store.resolve(claim.id, { fence: claim.fence, as, actor: 'ada', reason: 'seen' })
      expect((await failureOf(decide())).message).toContain(audit)
      expect((await store.get(claim.id))?.state).toBe('held')
      await server.command('DEL', audit)
      expect((await decide()).state).toBe('resolved')
      expect(await store.audit()).toHaveLength(1)
    })

    it('does not notice that the server forgets its scripts, between calls and during them', async () => {
      let flushing = true
      const flush = (async () => {
        while (flushing) await server.command('SCRIPT', 'FLUSH')
      })()
      for (let round = 0; round < 30; round++) {
        const ids = Array.from({ length: 5 }, () => someId())
        const replies = await Promise.all(ids.map((id) => granted(store, asks(id))))
        const ends = await Promise.all(replies.map(({ claim }) => store.complete(claim, receipt(), 60_000)))
        expect(ends).toEqual([true, true, true, true, true])
      }
      flushing = false
      await flush
    })

    it('tells a foreign value under its key as what it is, and serves the others of that call', async () => {
      const [list, text, fine] = [someId(), someId(), someId()]
      await server.command('RPUSH', keyOf(list.digest), 'x')
      await server.command('SET', keyOf(text.digest), 'somebody else was here')
      const [first, second, third] = await Promise.all([
        failureOf(store.claim(asks(list))),
        failureOf(store.claim(asks(text))),
        store.claim(asks(fine)),
      ])
      for (const [error, id] of [
        [first, list],
        [second, text],
      ] as const) {
        expect(error).toMatchObject({ code: 'STORE_CORRUPT', effect: 'unknown' })
        expect(error.message).toContain(keyOf(id.digest))
      }
      expect(third.state).toBe('claimed')
      expect(await store.stats()).toMatchObject({ running: 1 })
      expect(await server.command('GET', keyOf(text.digest))).toBe('somebody else was here')
    })

    it('tells a foreign value under its key to each who asks for it in one call, and answers the others what is theirs', async () => {
      const [list, fine, done] = [someId(), someId(), someId()]
      await server.command('RPUSH', keyOf(list.digest), 'x')
      const { claim: running } = await granted(store, asks(done))
      const [first, second, third, ended] = await Promise.all([
        failureOf(store.claim(asks(list))),
        failureOf(store.claim(asks(list))),
        granted(store, asks(fine)),
        store.complete(running, receipt(), 60_000),
      ])
      expect([first.code, second.code, ended]).toEqual(['STORE_CORRUPT', 'STORE_CORRUPT', true])
      expect(await store.get(fine)).toMatchObject({ state: 'running', owner: third.claim.owner, id: fine })
      expect(await store.get(done)).toMatchObject({ state: 'done' })
    })

    it('tells a record that was cut short as damaged, and never runs it again', async () => {
      const id = someId()
      await granted(store, asks(id))
      const length = Number(await server.command('STRLEN', keyOf(id.digest)))
      const start = String(await server.command('GETRANGE', keyOf(id.digest), '0', '1'))
      await server.command('SET', keyOf(id.digest), start)
      expect(length).toBeGreaterThan(50)
      expect(await failureOf(store.claim(asks(id)))).toMatchObject({
        code: 'STORE_CORRUPT',
        effect: 'unknown',
      })
      expect(await failureOf(store.get(id))).toMatchObject({ code: 'STORE_CORRUPT' })
    })

    it('tells a finished record as damaged wherever it was cut short', async () => {
      const id = someId()
      const request = asks(id, { fingerprint: 'print' })
      const { claim } = await granted(store, request)
      const running = Number(await server.command('STRLEN', keyOf(id.digest)))
      await store.complete(claim, receipt(), 60_000)
      const length = Number(await server.command('STRLEN', keyOf(id.digest)))
      await server.command('RENAME', keyOf(id.digest), `${prefix}:whole`)
      for (let cut = 0; cut < length; cut++) {
        // Up to here it is the record of one that runs.
        if (cut === running) continue
        await server.command(
          'EVAL',
          "redis.call('SET', KEYS[2], redis.call('GETRANGE', KEYS[1], 0, ARGV[1] - 1))",
          '2',
          `${prefix}:whole`,
          keyOf(id.digest),
          String(cut),
        )
        if (cut === 0) await server.command('SET', keyOf(id.digest), '')
        const error = await failureOf(store.claim(asks(id, { fingerprint: 'print' })))
        expect(`${error.code} at ${cut}`).toBe(`STORE_CORRUPT at ${cut}`)
      }
    })

    it('remembers a value of 8 MB beside others', async () => {
      const id = someId()
      const value = new Uint8Array(8 * 1024 * 1024).map((_, index) => (index * 7) & 255)
      const { claim } = await granted(store, asks(id))
      const others = Array.from({ length: 50 }, () => store.claim(asks(someId())))
      expect(await store.complete(claim, { kind: 'value', value }, 60_000)).toBe(true)
      expect(new Set((await Promise.all(others)).map((reply) => reply.state))).toEqual(new Set(['claimed']))
      const reply = await store.claim(asks(id))
      if (reply.state !== 'done' || reply.outcome.kind !== 'value') return expect.fail(reply.state)
      expect(Buffer.compare(reply.outcome.value, value)).toBe(0)
    })

    it('writes nothing outside its prefix, whatever scope and key are', async () => {
      const before = new Set((await server.command('KEYS', '*')) as string[])
      for (const text of ['*', '{tag}', '}{', 'nul\u0000', `'"\\`, '𝄞💳', '\r\n*1\r\n$8\r\nFLUSHALL\r\n']) {
        const { claim } = await granted(store, asks(someId(text, text)))
        expect(await store.complete(claim, receipt(text), 60_000)).toBe(true)
        expect((await store.find(claim.id.digest))?.id).toMatchObject({ scope: text, key: text })
      }
      const keys = (await server.command('KEYS', '*')) as string[]
      const fresh = keys.filter((key) => !before.has(key))
      expect(fresh.length).toBeGreaterThan(7)
      for (const key of fresh) expect(key.startsWith(`${prefix}:{`)).toBe(true)
    })

    it('does not let the index grow for ever when nobody purges', async () => {
      const one = redisStore(opened.client, { prefix })
      for (let round = 0; round < 40; round++) {
        const claims = await Promise.all(
          Array.from({ length: 25 }, () =>
            granted(one, asks(someId(), { retentionMs: 0, onCrash: 'rerun' })),
          ),
        )
        await Promise.all(claims.map(({ claim }) => one.complete(claim, receipt(), 0)))
      }
      const entries = async () => {
        let count = 0
        for (const { created, state } of keyLayout(prefix).buckets) {
          count +=
            Number(await server.command('ZCARD', created)) + Number(await server.command('ZCARD', state))
        }
        return count
      }
      const before = await entries()
      expect(before).toBeGreaterThan(1000)
      // The entries of expired records are let go ten seconds after the end.
      await expect
        .poll(
          async () => {
            await Promise.all(Array.from({ length: 200 }, () => one.get(someId())))
            return entries()
          },
          { timeout: 40_000, interval: 300 },
        )
        .toBeLessThan(before / 10)
      await one.close()
    }, 60_000)

    it('lets go of the connection for wake-ups with the last who waits', async () => {
      const id = someId()
      await granted(store, asks(id))
      const stop = new AbortController()
      const waiting = store.watch(id, stop.signal)
      const listening = async () =>
        String(await server.command('CLIENT', 'LIST', 'TYPE', 'pubsub')).includes('sub=')
      await expect.poll(listening).toBe(true)
      stop.abort()
      await waiting
      await store.close()
      await expect.poll(listening).toBe(false)
    })
  })
}

await describeWith('redis', 'what is handed to redisStore', ({ redis }) => {
  it('refuses what is no usable client, naming the mend', async () => {
    const pending = createClient({ url: redis.url })
    pending.on('error', () => {})
    const connecting = pending.connect()
    const closed = new Redis(redis.url, { lazyConnect: true })
    closed.disconnect()
    await expect.poll(() => closed.status).toBe('end')
    const prefixed = new Redis(redis.url, { lazyConnect: true, keyPrefix: 'mine:' })
    const listener = new Redis(redis.url, { protocol: 2 })
    await listener.subscribe('somewhere')
    const cases: readonly (readonly [unknown, RegExp])[] = [
      [undefined, /needs a Redis client/],
      ['redis://127.0.0.1', /needs a Redis client/],
      [{}, /needs a Redis client/],
      [connecting, /promise; await connect\(\)/],
      [closed, /closed ioredis client/],
      [prefixed, /without keyPrefix.*option prefix/],
      [listener, /only listens.*duplicate\(\)/],
    ]
    for (const [client, mend] of cases) {
      expect(() => redisStore(client as never)).toThrow(TypeError)
      expect(() => redisStore(client as never)).toThrow(mend)
    }
    await connecting
    pending.destroy()
    prefixed.disconnect()
    listener.disconnect()
  })

  it('refuses options that make no sense, naming them', () => {
    const client = new Redis(redis.url, { lazyConnect: true })
    for (const prefix of ['', '{x}', 'a*', 'a b', 'é', 'x'.repeat(65)]) {
      expect(() => redisStore(client, { prefix })).toThrow(/prefix must be/)
    }
    expect(() => redisStore(client, { maxBatch: 0 })).toThrow(/maxBatch must be/)
    expect(() => redisStore(client, { commandTimeoutMs: 0 })).toThrow(/commandTimeoutMs/)
    expect(() => redisStore(client, { wait: { replicas: 0, timeoutMs: 1 } })).toThrow(/wait\.replicas/)
    expect(() => redisStore(client, { ttl: 1 } as never)).toThrow(/unknown field "ttl"/)
    client.disconnect()
  })

  it('says that a node-redis client has not been connected', async () => {
    const store = redisStore(createClient({ url: redis.url }), { prefix: somePrefix() })
    const error = await failureOf(store.claim(asks(someId())))
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
    expect(error.message).toMatch(/await client\.connect\(\)/)
  })
})

describe('the layout of the keys', () => {
  it('spreads the buckets evenly over the slots, so that any number of nodes gets its share', () => {
    const { buckets } = keyLayout('onceward')
    const slots = buckets.map(({ created }) => slotOf(created)).sort((a, b) => a - b)
    for (const nodes of [2, 3, 4, 5, 8]) {
      const shares = Array.from({ length: nodes }, () => 0)
      for (const slot of slots) {
        const node = Math.floor((slot * nodes) / 16_384)
        shares[node] = (shares[node] ?? 0) + 1
      }
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(2)
    }
  })

  it('keeps all keys of a bucket in one slot', () => {
    for (const { record, created, state, audit } of keyLayout('a:b').buckets) {
      expect(new Set([`${record}x`, created, state, audit].map(slotOf)).size).toBe(1)
    }
  })
})
