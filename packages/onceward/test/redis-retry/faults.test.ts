import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import {
  describeWhere,
  type FaultProxy,
  faultProxy,
  type RedisServer,
  startRedis,
} from '../../../../test-servers/index.mjs'
import { type SafeRedis, type SafeRedisOptions, safeRedis } from '../../src/redis-retry/index.ts'
import { CLIENTS, failureOf, isReady, type OpenClient, SINGLE, some } from './retry-kit.ts'
import { steadyTime } from './steady-time.ts'

/** Attempts that end by an answer or a cut, and not because a busy machine answers late. */
const PATIENT: SafeRedisOptions = { attemptTimeoutMs: 5000 }

await describeWhere('redis', 'a network that fails', () => {
  let server: RedisServer
  let proxy: FaultProxy
  beforeAll(async () => {
    server = await startRedis({ persistence: 'aof' })
    proxy = await faultProxy({ target: server })
  })
  /** What a test that failed has left open would count as a connection in the next. */
  const left = new Set<() => Promise<void>>()
  afterEach(async () => {
    for (const end of left) await end()
  })
  const { clock, timers, stop } = steadyTime()
  afterAll(async () => {
    stop()
    await proxy.stop()
    await server.stop()
  })
  const open = async (
    name: (typeof CLIENTS)[number],
    options: SafeRedisOptions = {},
  ): Promise<OpenClient & { readonly safe: SafeRedis; end(): Promise<void> }> => {
    await proxy.pass()
    const opened = await SINGLE[name](proxy.url(server.url))
    const safe = safeRedis(opened.client, {
      prefix: some('m'),
      attemptTimeoutMs: 300,
      clock,
      timers,
      ...options,
    })
    const end = async () => {
      left.delete(end)
      await safe.close()
      opened.close()
    }
    left.add(end)
    // Whatever it takes until all is known of the server is no time of the test's.
    const first = some()
    const known = () => safe.exec('INCR', [first], { opId: first }).catch(String)
    await expect.poll(known, { timeout: 15_000 }).toBe(1)
    return { ...opened, safe, end }
  }
  const value = (key: string) => server.command('GET', key)

  for (const name of CLIENTS) {
    it(`a lost reply is told all the same, and its command executed once (${name})`, async () => {
      const { safe, end } = await open(name, PATIENT)
      const key = some()
      const events: string[] = []
      for (const type of ['retry', 'replay', 'ambiguous'] as const) safe.on(type, () => events.push(type))
      proxy.cutOnReplyTo(key)
      expect(await safe.call('INCR', key)).toBe(1)
      expect(proxy.fired).toBe(1)
      expect(await value(key)).toBe('1')
      expect(events).toEqual(['retry', 'replay'])
      expect(safe.stats()).toMatchObject({ retries: 1, replays: 1, ambiguous: 0, inFlight: 0 })
      await end()
    })

    it(`half a reply counts as none (${name})`, async () => {
      const { safe, end } = await open(name, PATIENT)
      const key = some()
      let halves = 0
      let asked = false
      proxy.onRequest((bytes) => {
        asked ||= bytes.includes(key)
        return undefined
      })
      proxy.onReply((_bytes, connection) => {
        if (!asked || halves > 0) return undefined
        halves++
        // A byte for each turn of the event loop; the second turn finds the connection cut.
        proxy.slice(1)
        setImmediate(() => {
          connection.cut()
          void proxy.pass()
        })
        return undefined
      })
      expect(await safe.call('LPUSH', key, 'x'.repeat(10))).toBe(1)
      expect(halves).toBe(1)
      expect(safe.stats()).toMatchObject({ retries: 1, replays: 1 })
      await proxy.pass()
      expect(await server.command('LLEN', key)).toBe(1)
      await end()
    })

    it(`a request that never arrives is sent again (${name})`, async () => {
      const { safe, end } = await open(name)
      const key = some()
      proxy.dropRequests()
      const call = safe.call('INCR', key)
      await proxy.hasFired()
      await proxy.pass()
      expect(await call).toBe(1)
      expect(await value(key)).toBe('1')
      await end()
    })

    it(`replies that stop coming are asked for until they come (${name})`, async () => {
      const { safe, end } = await open(name)
      const key = some()
      proxy.dropReplies()
      const call = safe.call('INCR', key)
      await proxy.hasFired(2)
      await proxy.pass()
      expect(await call).toBe(1)
      expect(await value(key)).toBe('1')
      expect(safe.stats().replays).toBe(1)
      await end()
    })

    it(`a server that cannot be reached leaves it open what was executed, and says so (${name})`, async () => {
      const { safe, end } = await open(name, { deadlineMs: 600, attemptTimeoutMs: 200 })
      const key = some()
      proxy.dropReplies()
      const started = clock.monotonic()
      expect(await failureOf(safe.call('INCR', key))).toMatchObject({
        code: 'AMBIGUOUS_RESULT',
        effect: 'unknown',
        retryable: false,
      })
      expect(clock.monotonic() - started).toBeLessThan(600 + 2 * 200 + 1500)
      expect(safe.stats().ambiguous).toBe(1)
      await end()
    })

    it(`what was never sent took no effect (${name})`, async () => {
      const { safe, client, end } = await open(name, { deadlineMs: 600, attemptTimeoutMs: 200 })
      await proxy.down()
      await expect.poll(() => isReady(client), { timeout: 10_000 }).toBe(false)
      let key = ''
      // On a slow machine a second connection may have been opened, which learns of its end a moment later.
      const refused = () => {
        key = some()
        return failureOf(safe.call('INCR', key))
      }
      const never = { code: 'STORE_UNAVAILABLE', effect: 'none' }
      await expect.poll(refused, { timeout: 10_000 }).toMatchObject(never)
      await proxy.pass()
      await expect.poll(() => safe.call('GET', key).catch(String), { timeout: 10_000 }).toBe(null)
      await end()
    })

    it(`a request that arrives after its deadline is not executed (${name})`, async () => {
      const { safe, end } = await open(name, { deadlineMs: 1000, attemptTimeoutMs: 1000 })
      const key = some()
      // Held on its way: it arrives when the caller has long been told.
      const held: string[] = []
      proxy.onRequest((bytes) => {
        if (!bytes.includes(key)) return undefined
        held.push(key)
        return 'hold'
      })
      // It is refused for good by another way, so that its end is known.
      expect(await failureOf(safe.call('INCR', key))).toMatchObject({
        code: 'STORE_UNAVAILABLE',
        effect: 'none',
        message: expect.stringMatching(/did not execute the command within its 1000 ms, and never will/),
      })
      expect(held.length).toBeGreaterThan(0)
      await proxy.pass()
      await expect.poll(() => safe.call('PING').catch(String), { timeout: 10_000 }).toBe('PONG')
      expect(await value(key)).toBe(null)
      await end()
    })

    it(`a request that nobody could take back is refused by its deadline alone (${name})`, async () => {
      const { safe, end } = await open(name, { deadlineMs: 400, attemptTimeoutMs: 200 })
      const key = some()
      let held = 0
      proxy.onRequest(() => {
        held++
        return 'hold'
      })
      expect(await failureOf(safe.call('INCR', key))).toMatchObject({ code: 'AMBIGUOUS_RESULT' })
      expect(held).toBeGreaterThan(0)
      await proxy.pass()
      await expect.poll(() => safe.call('PING').catch(String), { timeout: 10_000 }).toBe('PONG')
      expect(await value(key)).toBe(null)
      await end()
    })

    it(`a connection that is dead without telling is gone around, and used again when it lives (${name})`, async () => {
      // What goes around it has to answer within one attempt, or is gone around as well.
      const { safe, bare, end } = await open(name, { attemptTimeoutMs: 1000 })
      const key = some()
      const connections = proxy.accepted
      // The server's side is closed; the client believes in its connection for as long as TCP does.
      proxy.halfOpen()
      expect(await safe.call('INCR', key)).toBe(1)
      expect(await safe.call('GET', key)).toBe('1')
      expect(proxy.accepted).toBe(connections + 1)
      await proxy.pass()
      // What was half open is cut now, and the client connects anew.
      await expect.poll(() => bare('GET', key).catch(String), { timeout: 10_000 }).toBe('1')
      await expect.poll(() => proxy.connections, { timeout: 10_000 }).toBe(1)
      expect(await safe.call('INCR', key)).toBe(2)
      expect(await value(key)).toBe('2')
      await end()
    })

    it(`a command that waits keeps no other waiting for long (${name})`, async () => {
      const { safe, end } = await open(name, { attemptTimeoutMs: 200 })
      const [key, list] = [some(), some()]
      const waiting = safe.call('BLPOP', list, 15)
      expect(await safe.call('INCR', key)).toBe(1)
      expect(await safe.call('RPUSH', list, 'x')).toBe(1)
      expect(await waiting).toEqual([list, 'x'])
      expect(await value(key)).toBe('1')
      await end()
    })

    it(`scripts that were flushed are loaded again (${name})`, async () => {
      const { safe, end } = await open(name)
      const key = some()
      await safe.call('INCR', key)
      await server.command('SCRIPT', 'FLUSH')
      expect(await safe.call('INCR', key)).toBe(2)
      await end()
    })

    it(`a server that is killed and started again remembers what it executed (${name})`, async () => {
      const { safe, end } = await open(name, { attemptTimeoutMs: 500, deadlineMs: 30_000 })
      const key = some()
      await safe.exec('INCR', [key], { opId: `${key}:1` })
      const calls = Array.from({ length: 50 }, () => safe.call('INCR', key))
      await server.restart()
      const replies = await Promise.all(calls)
      expect(replies.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, at) => at + 2))
      expect(await safe.exec('INCR', [key], { opId: `${key}:1` })).toBe(1)
      expect(await value(key)).toBe('51')
      await end()
    }, 60_000)

    it(`what cannot be guarded is sent once, and its end is unknown (${name})`, async () => {
      const { safe, end } = await open(name, PATIENT)
      const key = some()
      proxy.cutOnReplyTo(key)
      const script = 'return redis.call("INCR", KEYS[1])'
      expect(await failureOf(safe.call('EVAL', script, 1, key))).toMatchObject({
        code: 'AMBIGUOUS_RESULT',
        effect: 'unknown',
      })
      await expect.poll(() => safe.call('GET', key).catch(String), { timeout: 10_000 }).toBe('1')
      const list = some()
      await safe.call('RPUSH', list, 'a', 'b')
      proxy.cutOnReplyTo(list)
      expect(await failureOf(safe.call('BLPOP', list, 1))).toMatchObject({ code: 'AMBIGUOUS_RESULT' })
      expect(await server.command('LLEN', list)).toBe(1)
      await end()
    })

    it(`a read is repeated (${name})`, async () => {
      const { safe, end } = await open(name, PATIENT)
      const key = some()
      await safe.call('SET', key, 'v')
      proxy.cutOnReplyTo(key)
      expect(await safe.call('GET', key)).toBe('v')
      expect(safe.stats()).toMatchObject({ retries: 1, replays: 0 })
      await end()
    })

    it(`under steady loss everything takes effect once and is told right (${name})`, async () => {
      const { safe, end } = await open(name, { deadlineMs: 30_000, attemptTimeoutMs: 1000, maxInFlight: 50 })
      const key = some()
      let replies = 0
      proxy.onReply(() => (++replies % 4 === 0 ? 'cut' : undefined))
      const answers = await Promise.all(Array.from({ length: 500 }, () => safe.call('INCR', key)))
      await proxy.pass()
      expect(new Set(answers).size).toBe(500)
      expect(await value(key)).toBe('500')
      expect(safe.stats().replays).toBeGreaterThan(0)
      await end()
    }, 60_000)
  }

  it('the bare client executes commands again whose replies were lost', async () => {
    await proxy.pass()
    const client = new Redis(proxy.url(server.url))
    client.on('error', () => {})
    const key = some()
    await client.incr(some())
    proxy.cutOnReplyTo(key)
    expect(await client.incr(key)).toBe(2)
    expect(await value(key)).toBe('2')
    client.disconnect()
  })
})
