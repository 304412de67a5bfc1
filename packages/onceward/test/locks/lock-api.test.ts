import { describe, expect, it } from 'vitest'
import { createLocks } from '../../src/locks/create-locks.ts'
import type { AcquireOptions, Lease, LocksOptions } from '../../src/locks/lock-types.ts'
import { memoryLocks } from '../../src/locks/memory/index.ts'
import { start, stateOf } from './lock-rig.ts'

const PAIR_HALF = '\ud800'

describe('createLocks', () => {
  it('refuses options that make no sense, at once and with the mend', () => {
    const bad: [unknown, RegExp][] = [
      [{ ttlms: 5 }, /unknown field "ttlms"; known are ttlMs/],
      [{ ttlMs: 1 }, /cannot be kept below 10 ms; choose a longer one/],
      [{ ttlMs: '5' }, /ttlMs must be a whole number/],
      [{ ttlMs: 1000.5 }, /whole number/],
      [{ ttlMs: Number.NaN }, /whole number/],
      [{ ttlMs: 1e15 }, /whole number from 1 to/],
      [{ waitMs: -1 }, /waitMs/],
      [{ waitMs: Infinity }, /waitMs/],
      [{ maxHoldMs: 0 }, /maxHoldMs/],
      [{ renew: 'yes' }, /renew must be true or false/],
      [{ fair: 1 }, /fair must be true or false/],
      [{ meta: 5 }, /meta must be well-formed text/],
      [{ meta: 'x'.repeat(1025) }, /1025 bytes, the most is 1024/],
      [{ owner: '' }, /owner must not be empty/],
      [{ localHandovers: -1 }, /localHandovers/],
      [{ observer: {} }, /observer must be a function/],
      [null, /must be an object/],
    ]
    for (const [options, mend] of bad) {
      const make = () => createLocks(memoryLocks(), options as LocksOptions)
      expect(make, JSON.stringify(options)).toThrow(mend)
      expect(make).toThrow(TypeError)
    }
    expect(() => createLocks({} as never)).toThrow(/needs a backend, for example redisLocks/)
    expect(() => createLocks(undefined as never)).toThrow(TypeError)
    expect(() => createLocks(memoryLocks(), { maxHoldMs: Infinity })).not.toThrow()
  })

  it('drops what an observer throws, or rejects with', async () => {
    const faults = [
      () => {
        throw new Error('mine')
      },
      () => Promise.reject(new Error('mine')),
    ]
    for (const observer of faults) {
      const locks = createLocks(memoryLocks(), { observer })
      expect(await locks.using('k', () => 'done')).toBe('done')
      await locks.close()
    }
  })

  it('refuses calls that make no sense, before anything is asked for', async () => {
    const { locks, asked } = start()
    const bad: unknown[] = [
      '',
      5,
      undefined,
      'a\nb',
      'a\u0000',
      '\u0085',
      PAIR_HALF,
      'x'.repeat(513),
      'é'.repeat(257),
    ]
    for (const key of bad) {
      for (const call of [locks.acquire, locks.tryAcquire, locks.inspect])
        await expect(call(key as string)).rejects.toThrow(TypeError)
      expect(() => locks.read(key as string)).toThrow(TypeError)
      await expect(locks.acquireAll(['fine', key as string])).rejects.toThrow(TypeError)
    }
    await expect(locks.acquire('a', { waitms: 5 } as AcquireOptions)).rejects.toThrow(
      /unknown field "waitms"/,
    )
    await expect(locks.tryAcquire('a', { waitMs: 5 } as AcquireOptions)).rejects.toThrow(
      /unknown field "waitMs"/,
    )
    await expect(locks.acquire('a', { signal: 5 as never })).rejects.toThrow(/AbortSignal/)
    await expect(locks.acquireAll([])).rejects.toThrow(TypeError)
    for (const permits of [0, 1.5, 1_000_001, '3' as never])
      expect(() => locks.semaphore('a', permits)).toThrow(/permits must be a whole number/)
    expect(asked).toEqual([])
    await (await locks.acquire('é'.repeat(256))).release()
    await (await locks.acquire('__proto__')).release()
  })
})

describe('readers and semaphores', () => {
  it('hold together up to their number, and not beside a writer', async () => {
    const { time, locks, other } = start()
    const readers = await Promise.all([locks.read('a').acquire(), other.read('a').acquire()])
    expect(await locks.tryAcquire('a')).toBeNull()
    const writing = other.write('a').acquire()
    const late = locks.read('a').acquire()
    await time.advance(100)
    expect(await stateOf(writing)).toBe('pending')
    for (const reader of readers) await reader.release()
    const writer = await writing
    expect(await stateOf(late)).toBe('pending')
    await writer.release()
    await (await late).release()

    const two = locks.semaphore('b', 2)
    expect(two).toMatchObject({ key: 'b', permits: 2 })
    const [first, second] = [await two.tryAcquire(), await two.tryAcquire()]
    expect([first, second]).not.toContain(null)
    expect(await two.tryAcquire()).toBeNull()
    const third = two.using(({ fence }) => fence)
    await first?.release()
    await time.advance(10)
    expect(await third).toBeGreaterThan(second?.fence ?? Infinity)
  })

  it('are refused on a backend that has one holder only, with the reason', () => {
    const { backend } = start()
    const locks = createLocks({ ...backend, capabilities: { ...backend.capabilities, shared: false } })
    expect(() => locks.read('a')).toThrow(/one holder only/)
    expect(() => locks.semaphore('a', 2)).toThrow(TypeError)
  })
})

describe('acquireAll', () => {
  it('takes each key once, in one order, and gives them back together', async () => {
    const { locks, other, asked } = start()
    const group = await locks.acquireAll(['b', 'a', 'c', 'b'])
    expect(group.leases.map(({ key }) => key)).toEqual(['a', 'b', 'c'])
    expect(asked.map(({ args: [request] }) => (request as { key: string }).key)).toEqual(['a', 'b', 'c'])
    expect(group.fence('b')).toBe(group.leases[1]?.fence)
    expect(() => group.fence('d')).toThrow(/holds a, b, c/)
    group.assertHeld()
    await group.extend(5000)
    expect(group.remainingMs()).toBeLessThan(5000)
    expect(await group.release()).toBe('released')
    expect(await group.release()).toBe('released')
    expect(group.signal.aborted).toBe(false)
    for (const key of ['a', 'b', 'c']) expect(await other.tryAcquire(key)).not.toBeNull()
  })

  it('holds none of them when one cannot be had within the time for all', async () => {
    const { time, locks, other } = start()
    await other.acquire('c')
    const held = await other.acquire('a')
    const waiting = locks.acquireAll(['a', 'b', 'c'], { waitMs: 1000 })
    const refused = expect(waiting).rejects.toMatchObject({
      code: 'LOCK_TIMEOUT',
      message: expect.stringContaining('"c"'),
    })
    await time.advance(600)
    await held.release()
    await time.advance(400)
    await refused
    for (const key of ['a', 'b']) expect(await other.tryAcquire(key)).not.toBeNull()
  })

  it('is lost as a whole when one of them is', async () => {
    const { time, locks, other } = start({ ttlMs: 3000 })
    const group = await locks.acquireAll(['a', 'b'])
    const { signal } = group
    await other.forceRelease('b', { reason: 'test' })
    await time.advance(1000)
    expect(signal.reason).toMatchObject({ code: 'LOCK_LOST' })
    expect(group.remainingMs()).toBe(0)
    expect(() => group.assertHeld()).toThrow()
    expect(await group.release()).toBe('not-held')
  })

  it('never waits in a circle', async () => {
    const { time, locks, other } = start()
    const done: number[] = []
    const runs = [...'abcd'].flatMap((_, n) =>
      [locks, other].map(async (those) => {
        const group = await those.acquireAll(n % 2 ? ['x', 'y', 'z'] : ['z', 'y', 'x'], { waitMs: 60_000 })
        done.push(n)
        await group[Symbol.asyncDispose]()
      }),
    )
    await time.advance(5000)
    await Promise.all(runs)
    expect(done).toHaveLength(8)
  })
})

describe('segmented', () => {
  it('gives an id the same segment for ever', () => {
    const { locks } = start()
    const segmented = locks.segmented('orders', { segments: 64 })
    // These are a promise between versions: they must not change.
    expect(['1', '2', 'order-4711', 'é', ''].map(segmented.keyFor)).toMatchInlineSnapshot(`
      [
        "orders:52",
        "orders:30",
        "orders:03",
        "orders:51",
        "orders:60",
      ]
    `)
    expect(locks.segmented('x', { segments: 1 }).keyFor('a')).toBe('x:0')
    expect(locks.segmented('x', { segments: 1000 }).keyFor('a')).toMatch(/^x:\d{3}$/)
  })

  it('sorts ids by the keys of their segments, and spreads them', () => {
    const { locks } = start()
    const segmented = locks.segmented('orders', { segments: 16 })
    const ids = Array.from({ length: 1600 }, (_, n) => `order-${n}`)
    const byKey = segmented.forIds(ids)
    expect([...byKey.keys()]).toEqual([...byKey.keys()].sort())
    expect([...byKey.values()].flat().sort()).toEqual([...ids].sort())
    for (const [key, those] of byKey) {
      expect(those.length).toBeGreaterThan(50)
      for (const id of those) expect(segmented.keyFor(id)).toBe(key)
    }
  })

  it('refuses what makes no sense', () => {
    const { locks } = start()
    for (const segments of [0, 1.5, 1_000_001])
      expect(() => locks.segmented('a', { segments })).toThrow(TypeError)
    expect(() => locks.segmented('', { segments: 2 })).toThrow(TypeError)
    expect(() => locks.segmented('x'.repeat(511), { segments: 2 })).toThrow(/513 bytes/)
    expect(() => locks.segmented('a', { segments: 2 }).keyFor(5 as never)).toThrow(TypeError)
  })
})

describe('attach', () => {
  it('takes a lease over from another process, where it is lost', async () => {
    const { time, locks, other, events } = start({ ttlMs: 3000 })
    const given = await other.acquire('a', { ttlMs: 3000 })
    expect(given.token).toMatch(/^[\w.-]+$/)
    const taken = await locks.attach(given.token)
    expect([taken.key, taken.fence]).toEqual(['a', given.fence])
    expect(events.map(({ type }) => type)).toEqual(['attached', 'acquired'])
    await time.advance(20_000)
    taken.assertHeld()
    expect(given.signal.aborted).toBe(true)
    expect(await given.release()).toBe('not-held')
    expect(await taken.release()).toBe('released')
    await expect(locks.attach(given.token)).rejects.toMatchObject({ code: 'LOCK_LOST' })
    await expect(locks.attach(taken.token)).rejects.toMatchObject({ code: 'LOCK_LOST' })
  })

  it('finds out about a transfer whose reply was lost', async () => {
    const { locks, other, another, next } = start()
    const given = await other.acquire('a')
    next('transfer', 'reply lost', 'refused')
    const taken = await locks.attach(given.token)
    taken.assertHeld()
    next('transfer', 'reply lost', 'refused', 'refused')
    await expect(locks.attach(taken.token)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(await another().tryAcquire('a')).not.toBeNull()
  })

  it('keeps the fence of a lease that was handed over before, and lets nobody in this process use its token', async () => {
    const { time, locks, other } = start()
    const first = await locks.acquire('a')
    const waits = [locks.acquire('a'), locks.acquire('a')]
    await first.release()
    const second = await (waits[0] as Promise<Lease<number>>)
    const taken = await other.attach(second.token)
    expect(taken.fence).toBe(first.fence + 1)
    expect(await second.release()).toBe('not-held')
    await taken.release()
    await time.advance(2000)
    const third = await (waits[1] as Promise<Lease<number>>)
    expect(third.fence).toBeGreaterThan(taken.fence)

    // Whoever was shown a token once must not get at the leases of others.
    const shown = third.token
    const fourth = locks.acquire('a')
    await third.release()
    await time.advance(10)
    await fourth
    await expect(other.attach(shown)).rejects.toMatchObject({ code: 'LOCK_LOST' })
    await expect(other.attach(first.token)).rejects.toMatchObject({ code: 'LOCK_LOST' })
  })

  it('moves a lease within one process, too', async () => {
    const { locks } = start()
    const given = await locks.acquire('a')
    const taken = await locks.attach(given.token)
    expect([given.signal.aborted, taken.signal.aborted]).toEqual([true, false])
    await taken.release()
  })

  it('refuses what is no token', async () => {
    const { locks } = start()
    const { token } = await locks.acquire('a')
    const bad = [
      '',
      '1',
      `${token}A`,
      token.replace(/^1/, '2'),
      `${token}.x`,
      token.replace('.x.', '.y.'),
      5,
      'x'.repeat(5000),
    ]
    for (const text of bad)
      await expect(locks.attach(text as string), String(text)).rejects.toThrow(TypeError)
  })
})

describe('forceRelease', () => {
  it('takes the lock from its holder, at once also here, and keeps who did it and why', async () => {
    const { locks, events } = start()
    const lease = await locks.acquire('a')
    expect(await locks.forceRelease('a', { ifFence: lease.fence + 50, reason: 'stuck' })).toBe('not-held')
    lease.assertHeld()
    expect(await locks.forceRelease('a', { ifFence: lease.fence, by: 'ann', reason: 'stuck' })).toBe(
      'released',
    )
    expect(lease.signal.aborted).toBe(true)
    expect(events.at(-1)).toMatchObject({ type: 'forced', key: 'a', message: 'by ann: stuck' })
    const view = await locks.inspect('a')
    expect(view?.forced).toMatchObject([{ by: 'ann', reason: 'stuck', fence: lease.fence }])
  })

  it('is noticed at once by whoever the lock was handed to since its fence was looked at', async () => {
    const { locks } = start()
    const first = await locks.acquire('a')
    const seen = await locks.inspect('a')
    const second = locks.acquire('a')
    await first.release()
    const lease = await second
    const ifFence = seen?.holders[0]?.fence as number
    expect(lease.fence).toBe(ifFence + 1)
    expect(await locks.forceRelease('a', { ifFence, reason: 'stuck' })).toBe('released')
    expect(lease.signal.aborted).toBe(true)
  })

  it('of one of several readers leaves the others', async () => {
    const { locks } = start()
    const [one, two] = [await locks.read('a').acquire(), await locks.read('a').acquire()]
    expect(await locks.forceRelease('a', { ifFence: two.fence, reason: 'stuck' })).toBe('released')
    expect([one.signal.aborted, two.signal.aborted]).toEqual([false, true])
  })

  it('wants a reason', async () => {
    const { locks } = start()
    for (const reason of [undefined, '', '  ', 'x'.repeat(1025)])
      await expect(locks.forceRelease('a', { reason: reason as string })).rejects.toThrow(TypeError)
    await expect(locks.forceRelease('a', { reason: 'x', ifFence: -1 })).rejects.toThrow(TypeError)
    await expect(locks.forceRelease('a', { reason: 'x', who: 'me' } as never)).rejects.toThrow(
      /unknown field "who"/,
    )
  })
})
