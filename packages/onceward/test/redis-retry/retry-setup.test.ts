import { expect, it } from 'vitest'
import { describeWhere, startRedisReplica } from '../../../../test-servers/index.mjs'
import { createOnce } from '../../src/core/index.ts'
import { safeRedis } from '../../src/redis-retry/index.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { CLIENTS, failureOf, isReady, SINGLE } from './retry-kit.ts'
import { retryRig } from './retry-rig.ts'

await describeWhere('redis', 'a safe client and its surroundings', () => {
  const { ends, serving, open } = retryRig()
  for (const name of CLIENTS) {
    it(`refuses what cannot be sent, before anything is (${name})`, async () => {
      const server = await serving()
      const { safe } = await open(name, server.url)
      const { call, exec, atomic } = safe as unknown as Record<
        string,
        (...args: unknown[]) => Promise<unknown>
      >
      const wrong: readonly [(() => Promise<unknown>) | undefined, RegExp][] = [
        [() => call?.('SET', 'k', undefined) as Promise<unknown>, /argument 2 of SET must be text/],
        [() => call?.('SET', 'k', { a: 1 }) as Promise<unknown>, /not an object/],
        [() => call?.('SET', 'k', Number.NaN) as Promise<unknown>, /not NaN/],
        [() => call?.('SET', 'k', true) as Promise<unknown>, /not true/],
        [() => call?.('') as Promise<unknown>, /needs the name of a command/],
        [() => call?.('GET k') as Promise<unknown>, /needs the name of a command/],
        [() => call?.(5) as Promise<unknown>, /needs the name of a command/],
        [() => exec?.('GET', 'k') as Promise<unknown>, /as a list/],
        [() => exec?.('INCR', ['k'], { opId: '' }) as Promise<unknown>, /opId must be/],
        [() => exec?.('INCR', ['k'], { opId: 'x'.repeat(201) }) as Promise<unknown>, /opId must be/],
        [() => exec?.('INCR', ['k'], { id: 'x' }) as Promise<unknown>, /unknown field "id"/],
        [() => exec?.('BLPOP', ['k', 1], { opId: 'x' }) as Promise<unknown>, /cannot guard BLPOP/],
        [() => call?.('MULTI') as Promise<unknown>, /does not send MULTI.*Use atomic/],
        [() => call?.('subscribe', 'c') as Promise<unknown>, /does not send SUBSCRIBE/],
        [() => call?.('SELECT', 1) as Promise<unknown>, /does not send SELECT/],
        [() => call?.('CLIENT', 'REPLY', 'OFF') as Promise<unknown>, /does not send CLIENT REPLY/],
        [() => call?.('BITFIELD', 'k', 'GET', 'i64', 0) as Promise<unknown>, /as wide as i64/],
        [
          () => call?.('RPUSH', 'k', ...Array.from({ length: 7000 }, String)) as Promise<unknown>,
          /at most 6999/,
        ],
        [() => atomic?.([['BLPOP', 'k', 1]]) as Promise<unknown>, /atomic cannot execute BLPOP/],
        [() => atomic?.([['NOSUCH']]) as Promise<unknown>, /atomic cannot execute NOSUCH/],
        [() => atomic?.(['INCR']) as Promise<unknown>, /each command as a list/],
      ]
      for (const [run, message] of wrong) {
        const error = await run?.().catch((thrown: unknown) => thrown)
        expect(error).toBeInstanceOf(TypeError)
        expect((error as Error).message).toMatch(message)
      }
      expect(await server.command('DBSIZE')).toBe(0)
      expect(await safe.atomic([])).toEqual([])
      expect(safe.on.bind(safe, 'nothing' as never, () => {})).toThrow(/retry, replay, ambiguous/)
    })

    it(`refuses a server that throws keys away when its memory is full, unless told otherwise (${name})`, async () => {
      const server = await serving({ config: { maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' } })
      const { safe } = await open(name, server.url)
      const error = await failureOf(safe.call('INCR', 'k'))
      expect(error).toMatchObject({ code: 'STORE_MISCONFIGURED', effect: 'none' })
      expect(error.message).toMatch(/allkeys-lru.*noeviction/)
      expect(await server.command('EXISTS', 'k')).toBe(0)
      const { safe: told } = await open(name, server.url, { allowEviction: true })
      expect(await told.call('INCR', 'k')).toBe(1)
    })

    it(`leaves nothing half done on a server that is full, and answers what it executed before (${name})`, async () => {
      const server = await serving()
      const { safe } = await open(name, server.url)
      await safe.exec('INCR', ['k'], { opId: 'before' })
      await server.command('CONFIG', 'SET', 'maxmemory', '1')
      expect(await failureOf(safe.exec('INCR', ['k'], { opId: 'full' }))).toMatchObject({
        code: 'STORE_FULL',
        effect: 'none',
      })
      expect(await safe.exec('INCR', ['k'], { opId: 'before' })).toBe(1)
      expect(await safe.call('GET', 'k')).toBe('1')
      await server.command('CONFIG', 'SET', 'maxmemory', '0')
      expect(await safe.exec('INCR', ['k'], { opId: 'full' })).toBe(2)
    })

    it(`tells a replica as one, and executes nothing there (${name})`, async () => {
      const server = await serving()
      const replica = await startRedisReplica(server)
      ends.push(() => replica.stop())
      const { safe } = await open(name, replica.url)
      expect(await failureOf(safe.call('INCR', 'k'))).toMatchObject({
        code: 'STORE_READ_ONLY',
        effect: 'none',
      })
    })

    it(`works for a user who may do no more than he asks for (${name})`, async () => {
      const server = await serving()
      await server.command(
        'ACL',
        'SETUSER',
        'shop',
        'on',
        '>secret',
        'resetkeys',
        '~shop:*',
        '~m:*',
        '-@all',
        '+evalsha',
        '+eval',
        '+time',
        '+get',
        '+set',
        '+incr',
        '+lpush',
        '+hello',
        '+ping',
        '+client',
        '+select',
        '+info',
      )
      const url = server.url.replace('redis://', 'redis://shop:secret@')
      const { safe } = await open(name, url)
      expect(await safe.call('INCR', 'shop:n')).toBe(1)
      const forbidden = await failureOf(safe.exec('DECR', ['shop:n'], { opId: 'd' }))
      expect(forbidden).toMatchObject({ code: 'STORE_MISCONFIGURED', effect: 'none' })
      expect(await failureOf(safe.call('INCR', 'other'))).toMatchObject({
        code: 'STORE_MISCONFIGURED',
        effect: 'none',
      })
      expect(forbidden.message).not.toContain('secret')
      // Once he may, the same operation is executed: it was refused, not remembered.
      await server.command('ACL', 'SETUSER', 'shop', '+decr')
      expect(await safe.exec('DECR', ['shop:n'], { opId: 'd' })).toBe(0)
    })

    it(`executes nothing where something else holds the place of its marker, and says what to do (${name})`, async () => {
      const server = await serving()
      const { safe } = await open(name, server.url)
      for (const spoil of [
        ['SET', 'm:op', 'mine'],
        ['RPUSH', 'm:op', 'mine'],
        ['SET', 'm:op', ''],
      ]) {
        await server.command('DEL', 'm:op')
        await server.command(...spoil)
        const error = await failureOf(safe.exec('INCR', ['k'], { opId: 'op' }))
        expect(error).toMatchObject({ code: 'STORE_CORRUPT', effect: 'unknown' })
        expect(error.message).toMatch(/m:op.*prefix of its own and delete that key/)
      }
      expect(await server.command('EXISTS', 'k')).toBe(0)
    })

    it(`answers a large reply once, and then says that it was not kept (${name})`, async () => {
      const server = await serving()
      const { safe } = await open(name, server.url, { maxReplyBytes: 1000 })
      const long = 'x'.repeat(2000)
      await safe.call('SET', 'k', long)
      expect(await safe.exec('GETDEL', ['k'], { opId: 'op' })).toBe(long)
      expect(await failureOf(safe.exec('GETDEL', ['k'], { opId: 'op' }))).toMatchObject({
        code: 'OUTCOME_NOT_REPLAYABLE',
        effect: 'done',
      })
    })

    it(`hands bytes on as they are, both ways (${name})`, async () => {
      const server = await serving()
      const { safe } = await open(name, server.url, { replies: 'bytes' })
      const bytes = Buffer.from([0, 255, 13, 10, 36, 128])
      const key = Buffer.from([1, 0, 254])
      await safe.call('SET', key, bytes)
      expect(await safe.call('GETSET', key, new Uint8Array([9]))).toEqual(bytes)
      expect(await safe.exec('GETDEL', [key], { opId: 'op' })).toEqual(Buffer.from([9]))
      expect(await safe.exec('GETDEL', [key], { opId: 'op' })).toEqual(Buffer.from([9]))
      await safe.call('SET', key, bytes)
      expect(await safe.call('GET', key)).toEqual(bytes)
      expect(await safe.exec('GET', [key], { replies: 'text' })).toBe(bytes.toString())
    })

    it(`lets so many commands out at once, lets so many wait, and refuses more (${name})`, async () => {
      const server = await serving()
      const { safe } = await open(name, server.url, { maxInFlight: 2, maxWaiting: 3 })
      const ends = await Promise.allSettled(Array.from({ length: 8 }, () => safe.call('INCR', 'k')))
      expect(ends.map(({ status }) => status)).toEqual([
        ...Array.from({ length: 5 }, () => 'fulfilled'),
        ...Array.from({ length: 3 }, () => 'rejected'),
      ])
      expect(ends[7]).toMatchObject({ reason: { code: 'STORE_UNAVAILABLE', effect: 'none' } })
      expect(await safe.call('GET', 'k')).toBe('5')
      expect(safe.stats()).toMatchObject({ inFlight: 0, waiting: 0 })
    })

    it(`takes nothing more once it is closed, and ends what it has begun (${name})`, async () => {
      const server = await serving()
      const { safe, bare } = await open(name, server.url)
      const calls = Array.from({ length: 20 }, () => safe.call('INCR', 'k'))
      await safe.close()
      expect((await Promise.all(calls)).length).toBe(20)
      expect(await failureOf(safe.call('INCR', 'k'))).toMatchObject({ code: 'CLOSED', effect: 'none' })
      expect(await bare('GET', 'k')).toBe('20')
    })

    it(`tells a closed client as one (${name})`, async () => {
      const server = await serving()
      const { client, close } = await SINGLE[name](server.url)
      const safe = safeRedis(client)
      await safe.call('INCR', 'k')
      close()
      for (const command of ['INCR', 'GET', 'EVAL'])
        expect(await failureOf(safe.call(command, 'k'))).toMatchObject({
          code: 'STORE_UNAVAILABLE',
          effect: 'none',
        })
      await safe.close()
    })

    it(`tells a closed client as one at once, where it was never used (${name})`, async () => {
      const server = await serving()
      const { client, close } = await SINGLE[name](server.url)
      const safe = safeRedis(client)
      close()
      const begun = performance.now()
      expect(await failureOf(safe.call('INCR', 'k'))).toMatchObject({
        code: 'STORE_UNAVAILABLE',
        effect: 'none',
      })
      // Not after the deadline of 10 s.
      expect(performance.now() - begun).toBeLessThan(3000)
      await safe.close()
    })

    it(`lets no command that waits for ever wait longer than the deadline for the connection (${name})`, async () => {
      const server = await serving()
      const { safe, client } = await open(name, server.url, { deadlineMs: 300, attemptTimeoutMs: 200 })
      await server.kill()
      // Until it knows, it would send.
      await expect.poll(() => isReady(client), { timeout: 10_000 }).toBe(false)
      for (const time of [0, 30]) {
        const error = await failureOf(safe.call('BLPOP', 'list', time))
        expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
      }
    })

    it(`tells a lost connection as one, not with the client's advice to let it send again (${name})`, async () => {
      const server = await serving()
      const { safe } = await open(name, server.url)
      await safe.call('INCR', 'k')
      const waits = safe.call('BLPOP', 'list', 30)
      const told = failureOf(waits)
      const clients = async () => String(await server.command('CLIENT', 'LIST'))
      await expect.poll(clients, { timeout: 10_000 }).toContain('cmd=blpop')
      await server.kill()
      const error = await told
      expect(error).toMatchObject({ code: 'AMBIGUOUS_RESULT', effect: 'unknown' })
      expect(String((error.cause as Error).message)).toMatch(/cannot be reached/)
      expect(String((error.cause as Error).message)).not.toMatch(/maxRetriesPerRequest/)
    })

    it(`shares its client with a store of operations (${name})`, async () => {
      const server = await serving()
      const { safe, client } = await open(name, server.url)
      const once = createOnce({ store: redisStore(client), scope: 'shop' })
      const take = () => once.run({ key: 'order-1', input: 1 }, () => safe.call('DECR', 'stock'))
      expect([await take(), await take()]).toEqual([-1, -1])
      expect(await safe.call('GET', 'stock')).toBe('-1')
      await once.close()
    })

    it(`says which writes replicas have not acknowledged (${name})`, async () => {
      const server = await serving()
      const replica = await startRedisReplica(server)
      ends.push(() => replica.stop())
      const { safe } = await open(name, server.url, {
        wait: { replicas: 1, timeoutMs: 100 },
        deadlineMs: 1000,
        attemptTimeoutMs: 1000,
      })
      // A busy machine may need more than one deadline for what comes before and after.
      const executed = (opId: string) =>
        expect.poll(() => safe.exec('INCR', ['k'], { opId }).catch(String), { timeout: 10_000 })
      await executed('first').toBe(1)
      const { replays } = safe.stats()
      await replica.pause()
      const error = await failureOf(safe.exec('INCR', ['k'], { opId: 'op' }))
      expect(error).toMatchObject({ code: 'OUTCOME_NOT_STORED', effect: 'done', value: 2 })
      expect(error.message).toMatch(/0 of 1 replicas/)
      // It was executed by this call, and asked after since: no duplicate that somebody should be warned of.
      expect(safe.stats().replays).toBe(replays)
      await replica.resume()
      await executed('op').toBe(2)
      expect(await safe.call('GET', 'k')).toBe('2')
    }, 40_000)

    it(`in fast mode repeats as it is what does the same again, and guards the rest (${name})`, async () => {
      const server = await serving()
      const { safe } = await open(name, server.url, { mode: 'fast' })
      await safe.call('SET', 'k', '1')
      await safe.call('MSET', 'a', '1', 'b', '2')
      expect(await server.command('DBSIZE')).toBe(3)
      await safe.call('INCR', 'k')
      await safe.call('SET', 'k', '1', 'NX')
      await safe.exec('SET', ['k', '1'], { opId: 'op' })
      expect(await server.command('DBSIZE')).toBe(6)
    })

    it(`leaves markers that expire (${name})`, async () => {
      const server = await serving()
      const { safe } = await open(name, server.url, { deadlineMs: 1000, retentionMs: 60_000 })
      await safe.exec('INCR', ['k'], { opId: 'named' })
      expect(Number(await server.command('PTTL', 'm:named'))).toBeGreaterThan(55_000)
      await server.command('DEL', 'm:named')
      const begun = performance.now()
      await safe.call('INCR', 'k')
      const [marker] = (await server.command('KEYS', 'm:*')) as readonly string[]
      const left = Number(await server.command('PTTL', String(marker)))
      // Twice the deadline and five seconds, but for what has passed since and the rounding of two clocks.
      expect(left).toBeGreaterThanOrEqual(7000 - Math.ceil(performance.now() - begun) - 2)
      expect(left).toBeLessThanOrEqual(7000)
    })
  }

  it('keeps an observer that throws away from the commands', async () => {
    const server = await serving()
    const { safe } = await open('ioredis', server.url, {
      observer: () => {
        throw new Error('mine')
      },
    })
    await safe.exec('INCR', ['k'], { opId: 'op' })
    expect(await safe.exec('INCR', ['k'], { opId: 'op' })).toBe(1)
    expect(safe.stats().replays).toBe(1)
  })
})
