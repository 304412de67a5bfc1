import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { describeWhere, faultProxy } from '../../../../test-servers/index.mjs'
import { safeRedis } from '../../src/redis-retry/index.ts'
import { CLIENTS, failureOf, SENDS_ONCE } from './retry-kit.ts'
import { retryRig } from './retry-rig.ts'
import { steadyTime } from './steady-time.ts'

await describeWhere('redis', 'a safe client that is given what it should not be', () => {
  const { ends, serving, open } = retryRig()
  const refusal = async (call: Promise<unknown>): Promise<string> => {
    const error = await call.catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(TypeError)
    return (error as Error).message
  }

  for (const name of CLIENTS) {
    it(`tells a command from the same one alone in a list, under one name (${name})`, async () => {
      const { safe } = await open(name, (await serving()).url)
      expect(await safe.exec('INCR', ['k'], { opId: 'one' })).toBe(1)
      expect(await failureOf(safe.atomic([['INCR', 'k']], { opId: 'one' }))).toMatchObject({
        code: 'KEY_REUSED',
      })
      expect(await safe.atomic([['INCR', 'k']], { opId: 'list' })).toEqual([2])
      expect(await failureOf(safe.exec('INCR', ['k'], { opId: 'list' }))).toMatchObject({
        code: 'KEY_REUSED',
      })
      expect(await safe.call('GET', 'k')).toBe('2')
    })

    it(`refuses several commands that a script cannot execute or answer exactly, before any takes effect (${name})`, async () => {
      const server = await serving()
      const { safe } = await open(name, server.url)
      const beside = ['INCR', 'k'] as const
      expect(await refusal(safe.atomic([beside, ['ROLE']]))).toMatch(/cannot execute ROLE/)
      expect(await refusal(safe.atomic([beside, ['EVAL_RO', 'return 1', 0]]))).toMatch(
        /cannot execute EVAL_RO/,
      )
      expect(await refusal(safe.atomic([beside, ['config', 'get', 'port']]))).toMatch(
        /cannot execute CONFIG GET/,
      )
      expect(await refusal(safe.atomic([beside, ['BITFIELD_RO', 'b', 'GET', 'i64', 0]]))).toMatch(
        /as wide as i64/,
      )
      expect(await refusal(safe.atomic(Array.from({ length: 15_001 }, () => beside)))).toMatch(
        /at most 30000 words altogether, not 30002/,
      )
      expect(await server.command('EXISTS', 'k')).toBe(0)
      expect(await safe.atomic(Array.from({ length: 15_000 }, () => beside))).toHaveLength(15_000)
      expect(await server.command('GET', 'k')).toBe('15000')
    }, 30_000)

    it(`says that nothing took effect where every one of several commands failed (${name})`, async () => {
      const { safe } = await open(name, (await serving()).url)
      await safe.call('SET', 'text', 'x')
      const all = await failureOf(
        safe.atomic([
          ['INCR', 'text'],
          ['LPUSH', 'text', '1'],
        ]),
      )
      expect(all).toMatchObject({ code: 'COMMAND_REFUSED', effect: 'none' })
      expect(all.message).toMatch(/none took effect/)
      const some = await failureOf(
        safe.atomic([
          ['INCR', 'text'],
          ['INCR', 'k'],
        ]),
      )
      expect(some).toMatchObject({ code: 'COMMAND_REFUSED', effect: 'done', value: [{}, 1] })
    })

    it(`takes no marker for one that it has not written, and no other command suffers from it (${name})`, async () => {
      const server = await serving()
      const { safe } = await open(name, server.url)
      await safe.exec('INCR', ['k'], { opId: 'op' })
      const digest = String(await server.command('GET', 'm:op')).slice(4, 20)
      const spoilt = ['t', 'tnever', 'd', 'd:x\r\n', 'd$5\r\nab', 'd+', 'd*9\r\n', 'q', 'x', 'E', 'k', 'r']
      for (const [place, text] of spoilt.entries()) {
        await server.command('SET', 'm:op', `OW1${text.slice(0, 1)}${digest}${text.slice(1)}`)
        // Sent together.
        const [beside, error] = await Promise.all([
          safe.call('INCR', 'beside'),
          failureOf(safe.exec('INCR', ['k'], { opId: 'op' })),
        ])
        expect([text, beside, error.code, error.effect]).toEqual([
          text,
          place + 1,
          'STORE_CORRUPT',
          'unknown',
        ])
      }
      expect(await server.command('GET', 'k')).toBe('1')
    })

    it(`refuses a command on the very key under which it is remembered (${name})`, async () => {
      const { safe } = await open(name, (await serving()).url)
      expect(await refusal(safe.exec('SET', ['m:op', 'mine'], { opId: 'op' }))).toMatch(/prefix of its own/)
      expect(await refusal(safe.exec('DEL', ['a', Buffer.from('m:op')], { opId: 'op' }))).toMatch(/m:op/)
    })

    it(`refuses names of operations that would be sent as the same bytes (${name})`, async () => {
      const { safe } = await open(name, (await serving()).url)
      expect(await refusal(safe.exec('INCR', ['k'], { opId: 'x\ud800' }))).toMatch(/well-formed/)
      expect(await safe.exec('INCR', ['k'], { opId: '\u{1f600}\0\r\n*' })).toBe(1)
      expect(await safe.exec('INCR', ['k'], { opId: '\u{1f600}\0\r\n*' })).toBe(1)
    })

    it(`counts the time in which a command waits for its turn (${name})`, async () => {
      const server = await serving()
      const { clock, timers, stop } = steadyTime()
      ends.push(stop)
      const { safe } = await open(name, server.url, {
        maxInFlight: 1,
        deadlineMs: 1000,
        attemptTimeoutMs: 1000,
        clock,
        timers,
      })
      const known = () => safe.exec('INCR', ['k'], { opId: 'first' }).catch(String)
      await expect.poll(known, { timeout: 10_000 }).toBe(1)
      const first = safe.call('BLPOP', 'list', 0)
      const late = await Promise.all([1, 2, 3].map(() => failureOf(safe.call('INCR', 'k'))))
      for (const error of late) {
        expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
        expect(error.message).toMatch(/raise maxInFlight/)
      }
      expect(safe.stats()).toMatchObject({ inFlight: 1, waiting: 0 })
      const next = safe.call('INCR', 'k')
      await server.command('RPUSH', 'list', 'x')
      expect(await first).toEqual(['list', 'x'])
      expect(await next).toBe(2)
    })

    it(`refuses a client that was moved to another database, where a new connection would not be (${name})`, async () => {
      const server = await serving()
      const proxy = await faultProxy({ target: server })
      ends.push(() => proxy.stop())
      const { safe, bare, client } = await open(name, proxy.url(server.url), { attemptTimeoutMs: 200 })
      await (client as unknown as Redis).select(3)
      const error = await failureOf(safe.call('INCR', 'k'))
      expect(error).toMatchObject({ code: 'STORE_MISCONFIGURED', effect: 'none' })
      expect(error.message).toMatch(/moved to database 3.*would use 0.*when the client is made/)
      expect(await bare('EXISTS', 'k')).toBe(0)
      // Named when it is made, the database is used by the connection that goes around a dead one as well.
      const { safe: right } = await open(name, `${proxy.url(server.url)}/3`, { attemptTimeoutMs: 200 })
      expect(await right.call('INCR', 'k')).toBe(1)
      proxy.halfOpen()
      expect(await right.call('INCR', 'k')).toBe(2)
      await proxy.pass()
    }, 30_000)

    it(`hands a wait below zero on to the server (${name})`, async () => {
      const { safe } = await open(name, (await serving()).url)
      const error = await failureOf(safe.call('BLPOP', 'list', -5))
      expect(error).toMatchObject({ code: 'COMMAND_REFUSED', effect: 'none' })
      expect(error.message).toMatch(/timeout is negative/)
    })

    it(`does not know what a command did that it does not know, where that is answered an error (${name})`, async () => {
      const server = await serving({ config: { 'rename-command': 'APPEND JOIN' } })
      const { safe } = await open(name, server.url)
      await safe.call('RPUSH', 'list', 'x')
      expect(await failureOf(safe.call('JOIN', 'list', 'y'))).toMatchObject({
        code: 'COMMAND_REFUSED',
        effect: 'unknown',
      })
      expect(await failureOf(safe.call('JOIN', 'list'))).toMatchObject({ effect: 'none' })
      expect(await failureOf(safe.call('NOSUCH', 'list'))).toMatchObject({ effect: 'none' })
      const moved = await failureOf(safe.call('MIGRATE', '127.0.0.1', 1, 'list', 0, 100))
      expect(moved).toMatchObject({ code: 'COMMAND_REFUSED', effect: 'unknown' })
      expect(moved.message).toMatch(/^IOERR/)
    })
  }

  it('knows nothing by a reply that is not one of the script', async () => {
    const server = await serving()
    const client = new Redis(server.url, SENDS_ONCE)
    ends.push(() => client.disconnect())
    const safe = safeRedis(client, { prefix: 'm' })
    await safe.call('INCR', 'k')
    // Somebody who shares the client has begun a transaction by hand: it is executed by his EXEC, or never.
    await client.call('MULTI')
    expect(await failureOf(safe.call('INCR', 'k'))).toMatchObject({ code: 'AMBIGUOUS_RESULT' })
    await client.call('DISCARD')
    const send = client.callBuffer.bind(client)
    for (const odd of [null, 'OK', {}, [], [null], [[]], [5]]) {
      client.callBuffer = (async (...words: Parameters<typeof send>) => {
        await send(...words)
        return odd
      }) as typeof client.callBuffer
      expect([odd, await failureOf(safe.call('INCR', 'k'))]).toMatchObject([
        odd,
        { code: 'AMBIGUOUS_RESULT' },
      ])
    }
    await safe.close()
  })

  it('knows that nothing was sent over a client that has begun to listen', async () => {
    const server = await serving()
    const client = new Redis(server.url, { ...SENDS_ONCE, protocol: 2 })
    ends.push(() => client.disconnect())
    const safe = safeRedis(client, { prefix: 'm' })
    await safe.call('INCR', 'k')
    await client.subscribe('channel')
    const error = await failureOf(safe.call('INCR', 'k'))
    expect(error).toMatchObject({ code: 'STORE_MISCONFIGURED', effect: 'none' })
    expect(error.message).toMatch(/only listens/)
    await safe.close()
  })

  it('asks again when the script has stopped within: what came before in the same call was executed', async () => {
    const server = await serving()
    const client = new Redis(server.url, SENDS_ONCE)
    ends.push(() => client.disconnect())
    const safe = safeRedis(client, { prefix: 'm', attemptTimeoutMs: 5000 })
    await safe.call('INCR', 'k')
    const send = client.callBuffer.bind(client)
    let stopped = 0
    client.callBuffer = (async (...words: Parameters<typeof send>) => {
      const reply = await send(...words)
      if (words[0] !== 'EVALSHA' || stopped > 0) return reply
      stopped++
      throw Object.assign(
        new Error('ERR user_script:63: not enough memory script: f00, on @user_script:63.'),
        {
          name: 'ReplyError',
        },
      )
    }) as typeof client.callBuffer
    expect(await safe.call('INCR', 'k')).toBe(2)
    expect(stopped).toBe(1)
    expect(safe.stats()).toMatchObject({ retries: 1, replays: 1 })
    await safe.close()
  })

  it('survives observers and listeners that reject later', async () => {
    const server = await serving()
    const failing = () => Promise.reject(new Error('mine'))
    const { safe } = await open('ioredis', server.url, { observer: failing })
    safe.on('replay', failing as () => void)
    await safe.exec('INCR', ['k'], { opId: 'op' })
    expect(await safe.exec('INCR', ['k'], { opId: 'op' })).toBe(1)
    expect(safe.stats().replays).toBe(1)
    // A rejection that nobody takes would fail this run, and end a process.
    await new Promise((resolve) => setImmediate(resolve))
  })

  it('checks options and listeners before they can do harm', async () => {
    const client = new Redis({ ...SENDS_ONCE, lazyConnect: true })
    ends.push(() => client.disconnect())
    const made = (options: object) => () => safeRedis(client, options)
    expect(made({ maxReplyBytes: Number.MAX_SAFE_INTEGER })).toThrow(/maxReplyBytes must be .* to 536870912/)
    expect(made({ allowEviction: 'no' })).toThrow(/allowEviction must be true or false, not "no"/)
    for (const type of ['toString', '__proto__', 'constructor']) {
      expect(() => made({})().on(type as never, () => {})).toThrow(/retry, replay, ambiguous/)
    }
  })
})
