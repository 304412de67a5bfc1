import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { describeWhere, type RedisServer, startRedis } from '../../../../../test-servers/index.mjs'
import { asksFor, fenceOf, heldBy, listens } from '../../../test/redis/lock-kit.ts'
import { failureOf } from '../../../test/redis/redis-kit.ts'
import { type OpenClient, SINGLE, somePrefix } from '../../../test/redis/redis-suite.ts'
import { hashTagOf } from '../../drivers/redis/index.ts'
import { type RedisLocks, redisLocks } from './index.ts'

await describeWhere('redis', 'a lock in Redis', () => {
  let server: RedisServer
  let clients: readonly [OpenClient, OpenClient]
  let a: RedisLocks
  let b: RedisLocks
  beforeAll(async () => {
    server = await startRedis()
    clients = [await SINGLE['node-redis'](server.url)(), await SINGLE.ioredis(server.url)()]
  })
  beforeEach(async () => {
    await server.command('FLUSHALL')
    const prefix = somePrefix()
    a = redisLocks(clients[0].client, { prefix })
    b = redisLocks(clients[1].client, { prefix })
    await Promise.all([a.inspect('k'), b.inspect('k')])
  })
  afterEach(() => Promise.all([a.close(), b.close()]))
  afterAll(async () => {
    for (const { close } of clients) close()
    await server.stop()
  })

  const redisKey = (key: string) => `${a.prefix}:{${hashTagOf(key)}}:lock:${key}`
  /** The time that each key of the server has left. */
  const lifetimes = async () => {
    const keys = (await server.command('KEYS', '*')) as string[]
    return Promise.all(keys.map(async (key) => Number(await server.command('PTTL', key))))
  }

  it('leaves something else under its key alone, and says which key that is', async () => {
    const key = redisKey('k')
    const others = [
      { fill: ['SET', key, 'text of somebody'], type: 'string' },
      { fill: ['SET', key, 'L1{"not":"ours"'], type: 'string' },
      { fill: ['SET', key, 'L1["x",{},{},false,{}]'], type: 'string' },
      { fill: ['RPUSH', key, 'a', 'b'], type: 'list' },
    ]
    for (const { fill, type } of others) {
      await server.command('DEL', key)
      await server.command(...fill)
      const before = await server.command('DUMP', key)
      const held = asksFor('k')
      for (const call of [
        () => a.acquire(held),
        () => a.release(held),
        () => a.release(held, asksFor('k')),
        () => a.transfer(held, asksFor('k')),
        () => a.mark(held, 'mark', 1000),
        () => a.inspect('k'),
        () => a.forceRelease({ key: 'k', by: 'ada', reason: 'it hangs' }),
      ]) {
        const error = await failureOf(call())
        expect(error).toMatchObject({ code: 'STORE_CORRUPT', effect: 'none' })
        expect(error.message).toContain(key)
      }
      expect(await a.extend([held])).toEqual([false])
      expect(await server.command('TYPE', key)).toBe(type)
      expect(await server.command('DUMP', key)).toEqual(before)
    }
  })

  it('is not extended together with others where something else is under its key, and they are', async () => {
    const [one, two] = [await heldBy(a, 'one'), await heldBy(a, 'two')]
    await server.command('DEL', redisKey('one'))
    await server.command('RPUSH', redisKey('one'), 'x')
    expect(await a.extend([one, two])).toEqual([false, true])
  })

  it('that was overwritten since it was granted is not put back over what was written', async () => {
    const held = await heldBy(a, 'k')
    await server.command('SET', redisKey('k'), 'text of somebody')
    const error = await failureOf(a.release(held))
    expect(error.code).toBe('STORE_CORRUPT')
    expect(await server.command('GET', redisKey('k'))).toBe('text of somebody')
  })

  it('that is released keeps whoever has come since it was granted, and wakes the first of them', async () => {
    const held = await heldBy(a, 'k')
    const [first, second] = [asksFor('k', { placeMs: 60_000 }), asksFor('k', { placeMs: 60_000 })]
    const ear = listens(b, first)
    await b.acquire(first)
    await b.acquire(second)
    const next = asksFor('k', { placeMs: 60_000 })
    expect(await a.release(held, next)).toMatchObject({ released: true, next: { granted: false } })
    expect((await a.inspect('k'))?.waiting).toBe(3)
    await expect.poll(ear.wakes).toBeGreaterThan(0)
    // Between the wake and the question another one comes.
    await a.acquire(asksFor('k', { placeMs: 60_000 }))
    expect(await b.acquire(first)).toMatchObject({ granted: true })
    expect((await a.inspect('k'))?.waiting).toBe(3)
    expect(await a.acquire(second)).toMatchObject({ granted: false })
  })

  it('that was forgotten since it was granted is not given back, and the next is granted with a greater fence', async () => {
    for (const next of [undefined, asksFor('k')]) {
      const held = await heldBy(a, 'k')
      await server.command('FLUSHALL')
      const reply = await a.release(held, next)
      expect(reply.released).toBe(false)
      if (next) expect(fenceOf(reply.next ?? { granted: false, retryAfterMs: 1 })).toBeGreaterThan(held.fence)
      else expect(await a.inspect('k')).toBeUndefined()
    }
  })

  it('that was taken away since it was granted is not given back', async () => {
    const held = await heldBy(a, 'k')
    await b.forceRelease({ key: 'k', by: 'ada', reason: 'it hangs' })
    const other = await heldBy(b, 'k')
    expect(await a.release(held)).toEqual({ released: false })
    expect((await b.inspect('k'))?.holders).toHaveLength(1)
    expect(await b.release(other)).toEqual({ released: true })
  })

  it('is given out with greater fences after the server has forgotten everything', async () => {
    const held = await heldBy(a, 'k', { fences: 33 })
    await server.command('FLUSHALL')
    expect(await a.extend([held])).toEqual([false])
    expect((await heldBy(b, 'k')).fence).toBeGreaterThan(held.fence + 32)
  })

  it('leaves nothing for ever, whatever becomes of it', async () => {
    const held = await heldBy(a, 'held')
    await heldBy(a, 'shared', { mode: 'shared', permits: Infinity })
    await b.acquire(asksFor('held', { placeMs: 1000 }))
    const released = await heldBy(a, 'released')
    await a.release(released)
    const marked = await heldBy(a, 'marked')
    const markedAt = performance.now()
    await a.mark(marked, 'tick 1', 120_000)
    await a.release(marked)
    await heldBy(a, 'forced')
    await a.forceRelease({ key: 'forced', by: 'ada', reason: 'it hangs' })
    await a.extend([held])
    const lives = (await lifetimes()).sort((one, other) => one - other)
    const sinceMs = performance.now() - markedAt
    expect(lives).toHaveLength(5)
    for (const life of lives) expect(life).toBeGreaterThan(0)
    // Released: some seconds; held: a minute and a little; marked: two; forced: a week.
    expect(lives[0]).toBeLessThanOrEqual(10_000)
    expect(lives[2]).toBeLessThanOrEqual(70_000)
    expect(lives[3]).toBeGreaterThan(120_000 - sinceMs - 10)
    expect(lives[4]).toBeGreaterThan(604_000_000)
  })

  it('does not notice that the server forgets its scripts', async () => {
    for (let round = 0; round < 3; round++) {
      await server.command('SCRIPT', 'FLUSH')
      const held = await heldBy(a, 'k')
      await server.command('SCRIPT', 'FLUSH')
      expect(await a.extend([held])).toEqual([true])
      await server.command('SCRIPT', 'FLUSH')
      expect(await a.release(held)).toEqual({ released: true })
    }
  })

  it('can be given back to a server without room, which grants none until there is room', async () => {
    const held = await heldBy(a, 'k')
    // A release that knows nothing beforehand has to read first.
    const old = await heldBy(b, 'old')
    await b.extend([old])
    await a.mark(await heldBy(a, 'marked'), 'tick 1', 60_000)
    const used = Number(/used_memory:(\d+)/.exec(String(await server.command('INFO', 'memory')))?.[1])
    await server.command('CONFIG', 'SET', 'maxmemory', String(Math.floor(used / 2)))
    expect(await failureOf(a.acquire(asksFor('other')))).toMatchObject({ code: 'STORE_FULL', effect: 'none' })
    expect(await failureOf(a.extend([held]))).toMatchObject({ code: 'STORE_FULL', effect: 'none' })
    expect(await a.release(held)).toEqual({ released: true })
    expect(await a.release(old)).toEqual({ released: true })
    await server.command('CONFIG', 'SET', 'maxmemory', '0')
    expect((await heldBy(b, 'k')).fence).toBeGreaterThan(held.fence)
  })

  it('wakes who waits again when the subscription comes back, so that no wake is lost for good', async () => {
    const held = await heldBy(a, 'k')
    const place = asksFor('k', { placeMs: 60_000 })
    for (const backend of [a, b]) {
      const ear = listens(backend, place)
      await expect.poll(ear.wakes).toBe(1)
      await backend.acquire(place)
      await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await expect.poll(ear.wakes, { timeout: 10_000 }).toBeGreaterThan(1)
      ear.leave()
    }
    await a.release(held)
  })

  it('listens over one connection however many wait, and no more once it is closed', async () => {
    const channels = async () => (await server.command('PUBSUB', 'CHANNELS', `${a.prefix}:*`)) as string[]
    expect(await channels()).toEqual([])
    const places = Array.from({ length: 50 }, (_, number) => asksFor(`k${number}`, { placeMs: 60_000 }))
    const ears = places.map((place) => listens(a, place))
    for (const place of places) {
      const held = await heldBy(b, place.key)
      await a.acquire(place)
      await b.release(held)
    }
    // Once when the subscription stands, and once for the release.
    await expect.poll(() => ears.every(({ wakes }) => wakes() > 0)).toBe(true)
    expect(await channels()).toHaveLength(1)
    await a.close()
    await expect.poll(channels).toEqual([])
  })

  it('is refused by locks that were closed', async () => {
    await a.close()
    await a.close()
    for (const call of [
      () => a.acquire(asksFor('k')),
      () => a.inspect('k'),
      () => a.extend([asksFor('k')]),
    ]) {
      expect(await failureOf(call())).toMatchObject({ code: 'CLOSED', effect: 'none' })
    }
    await heldBy(b, 'k')
  })
})
