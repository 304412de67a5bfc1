import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { type FencedRedis, fencedRedis } from './fenced-redis.ts'

await describeWith('redis', 'keys of Redis that refuse smaller fences', ({ redis }) => {
  const prefix = `fenced:${process.pid}:${Date.now()}:`
  const nodeRedis = createClient({ url: redis.url })
  const ioRedis = new Redis(redis.url, { lazyConnect: true })
  let clients: readonly FencedRedis[] = []
  let count = 0
  const someKey = () => `${++count}`

  beforeAll(async () => {
    await Promise.all([nodeRedis.connect(), ioRedis.connect()])
    clients = [fencedRedis(nodeRedis, { prefix }), fencedRedis(ioRedis, { prefix })]
  })
  afterAll(async () => {
    const keys = await nodeRedis.keys(`${prefix}*`)
    if (keys.length > 0) await nodeRedis.del(keys)
    nodeRedis.destroy()
    ioRedis.disconnect()
  })

  it('refuse a late set and a late delete, by either client', async () => {
    for (const stock of clients) {
      const key = someKey()
      expect(await stock.set(key, 'first', 10)).toBe('written')
      expect(await stock.set(key, 'late', 9)).toBe('stale')
      expect(await stock.delete(key, 9)).toBe('stale')
      expect(await stock.get(key)).toBe('first')
      expect(await stock.set(key, 'again', 10)).toBe('written')
      expect(await stock.delete(key, 11)).toBe('written')
      expect(await stock.get(key)).toBeUndefined()
      expect(await stock.set(key, 'back from the dead', 10)).toBe('stale')
      expect(await stock.get(key)).toBeUndefined()
    }
  })

  it('compare fences as large as those of locks exactly', async () => {
    const [stock] = clients as [FencedRedis]
    const key = someKey()
    const fence = 1_795_000_000_000_001
    expect(await stock.set(key, 'one', fence)).toBe('written')
    expect(await stock.set(key, 'other', fence - 1)).toBe('stale')
    expect(await stock.set(key, 'most', Number.MAX_SAFE_INTEGER)).toBe('written')
    expect(await stock.set(key, 'less', Number.MAX_SAFE_INTEGER - 1)).toBe('stale')
  })

  it('keep the greatest of a hundred that come at once', async () => {
    const key = someKey()
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, (_, index) => clients[index % 2]?.set(key, `by ${index + 1}`, index + 1)),
    )
    expect(outcomes[99]).toBe('written')
    expect(await clients[0]?.get(key)).toBe('by 100')
  })

  it('expire when told so, and never otherwise', async () => {
    const [stock] = clients as [FencedRedis]
    const key = someKey()
    await stock.set(key, 'short', 1, { ttlMs: 60_000 })
    expect(await nodeRedis.pTTL(prefix + key)).toBeGreaterThan(50_000)
    await stock.set(key, 'long', 1)
    expect(await nodeRedis.pTTL(prefix + key)).toBe(-1)
    await stock.delete(key, 1, { keepFenceMs: 60_000 })
    expect(await nodeRedis.pTTL(prefix + key)).toBeGreaterThan(50_000)
  })

  it('are refused where the key holds something else', async () => {
    const [stock] = clients as [FencedRedis]
    const key = someKey()
    await nodeRedis.set(prefix + key, 'a string')
    await expect(stock.set(key, 'x', 1)).rejects.toMatchObject({ name: 'OncewardError', effect: 'none' })
    expect(await nodeRedis.get(prefix + key)).toBe('a string')
    const hash = someKey()
    await nodeRedis.hSet(prefix + hash, { fence: 'none', value: 'theirs' })
    for (const write of [() => stock.set(hash, 'x', 1), () => stock.delete(hash, 1)])
      await expect(write()).rejects.toMatchObject({ code: 'STORE_CORRUPT', effect: 'none' })
    expect(await stock.get(hash)).toBe('theirs')
  })

  it('take text and fences only', async () => {
    const [stock] = clients as [FencedRedis]
    // @ts-expect-error A number is no text.
    await expect(stock.set('a', 5, 1)).rejects.toThrow(TypeError)
    // @ts-expect-error A lease of Redlock has no fence.
    await expect(stock.set('a', 'x', undefined)).rejects.toThrow(/backend with fencing/)
    await expect(stock.set('', 'x', 1)).rejects.toThrow(/non-empty text/)
    await expect(stock.set('a', 'x', 1.5)).rejects.toThrow(/a fence is/)
  })
})
