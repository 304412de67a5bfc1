import { describe, expect, it } from 'vitest'
import { createLocks } from '../../src/locks/create-locks.ts'
import type { AcquireRequest } from '../../src/locks/lock-backend.ts'
import type { Lease } from '../../src/locks/lock-types.ts'
import { gate, settled, start, stateOf } from './lock-rig.ts'

describe('handing a lock over inside a process', () => {
  it('takes no question to the backend, and gives each lease a greater fence', async () => {
    const { locks, count } = start()
    const first = await locks.acquire('a')
    const waits = Array.from({ length: 32 }, () => locks.acquire('a'))
    const fences = [first.fence]
    let lease: Lease<number> = first
    for (const wait of waits) {
      expect(await lease.release()).toBe('released')
      expect(lease.remainingMs()).toBe(0)
      lease = await wait
      lease.assertHeld()
      fences.push(lease.fence)
    }
    expect(fences).toEqual(Array.from({ length: 33 }, (_, n) => first.fence + n))
    expect([count('acquire'), count('release'), count('extend')]).toEqual([1, 0, 0])
    await lease.release()
    expect((await locks.acquire('a')).fence).toBeGreaterThan(fences[32] ?? Infinity)
  })

  it('has one contender at the backend, however many wait', async () => {
    const { time, locks, other, count } = start()
    const held = await other.acquire('a')
    const waits = Array.from({ length: 50 }, () => locks.acquire('a'))
    await time.advance(500)
    expect((await other.inspect('a'))?.waiting).toBe(1)
    expect(count('acquire')).toBeLessThan(5)
    await held.release()
    await (await waits[0])?.release()
    expect(await stateOf(waits[1] as Promise<unknown>)).toBe('fulfilled')
    await locks.close().catch(() => {})
    await Promise.allSettled(waits)
  })

  it('gives other processes their turn after 32 times, in one step with the release', async () => {
    const { time, locks, other, asked, count } = start()
    const order: string[] = []
    const first = await locks.acquire('a')
    const far = other.using('a', () => order.push('far'))
    await time.advance(10)
    const near = Array.from({ length: 40 }, (_, n) => locks.using('a', () => order.push(`near ${n}`)))
    await first.release()
    await time.advance(10)
    await Promise.all([far, ...near])
    expect(order.indexOf('far')).toBe(32)
    expect(order.filter((one) => one !== 'far')).toEqual(near.map((_, n) => `near ${n}`))
    const releases = asked.filter(({ method }) => method === 'release')
    expect(releases[0]?.args[1]).toMatchObject({ placeMs: expect.any(Number) })
    // The release that asks for the next one, whose place becomes the grant, and the last release.
    expect(releases).toHaveLength(2)
    expect(count('acquire')).toBe(1)
  })

  it('happens as often as is asked for, or never', async () => {
    const { time, locks, count } = start({ localHandovers: 0 })
    const runs = Array.from({ length: 5 }, () => locks.using('a', (lease) => lease.fence))
    await time.advance(10)
    expect(new Set(await Promise.all(runs)).size).toBe(5)
    expect(count('release')).toBe(5)
  })

  it('asks for no more fences than a grant can be given', async () => {
    const { time, backend, asked } = start()
    for (const [maxFences, fences] of [
      [1, undefined],
      [10, 10],
      [1000, 33],
    ] as const) {
      const capabilities = { ...backend.capabilities, maxFences }
      const locks = createLocks({ ...backend, capabilities }, { clock: time, timers: time })
      await (await locks.acquire('a')).release()
      const requests = asked.filter(({ method }) => method === 'acquire').map(({ args }) => args[0])
      expect((requests.at(-1) as AcquireRequest).fences).toBe(fences)
    }
  })

  it('works without fences where the backend has none', async () => {
    const { time, backend, count } = start()
    const capabilities = { ...backend.capabilities, fencing: false as const }
    const plain = {
      ...backend,
      capabilities,
      async acquire(request: AcquireRequest) {
        const reply = await backend.acquire(request)
        return reply.granted ? { granted: true as const } : reply
      },
    }
    const locks = createLocks(plain, { clock: time, timers: time })
    const runs = Array.from({ length: 5 }, () => locks.using('a', ({ fence }) => fence))
    expect(await Promise.all(runs)).toEqual([undefined, undefined, undefined, undefined, undefined])
    expect(count('acquire')).toBe(1)
  })

  it('ends the lease that was handed over, whose signal stays quiet, and starts another', async () => {
    const { time, locks, other } = start({ ttlMs: 3000 })
    const first = await locks.acquire('a')
    const { signal } = first
    const waiting = locks.acquire('a')
    await first.release()
    const second = await waiting
    await other.forceRelease('a', { reason: 'test' })
    await time.advance(1000)
    expect([signal.aborted, second.signal.aborted]).toEqual([false, true])
    expect(() => first.assertHeld()).toThrow(expect.objectContaining({ code: 'LOCK_LOST' }))
    await expect(first.extend()).rejects.toMatchObject({ code: 'LOCK_LOST' })
    expect(await first.release()).toBe('released')
  })

  it('extends first what is no longer fresh, or is to hold for another time or be seen otherwise', async () => {
    const { time, locks, count } = start({ renew: false, ttlMs: 10_000 })
    const first = await locks.acquire('a')
    const second = locks.acquire('a')
    const third = locks.acquire('a', { ttlMs: 2000 })
    const fourth = locks.acquire('a', { ttlMs: 2000, meta: 'the fourth' })
    await time.advance(5000)
    await first.release()
    expect((await second).remainingMs()).toBeGreaterThan(9000)
    expect(count('extend')).toBe(1)
    await (await second).release()
    expect((await third).remainingMs()).toBeLessThan(2000)
    await (await third).release()
    await fourth
    expect(await locks.inspect('a')).toMatchObject({ holders: [{ meta: 'the fourth' }] })
    expect([count('extend'), count('release')]).toEqual([3, 0])
  })

  it('shows nobody the meta of the holder before', async () => {
    const { locks } = start()
    const first = await locks.acquire('a', { meta: 'secret plans' })
    const waiting = locks.acquire('a')
    await first.release()
    await waiting
    expect(await locks.inspect('a')).toMatchObject({ holders: [{ owner: expect.any(String) }] })
    expect((await locks.inspect('a'))?.holders[0]).not.toHaveProperty('meta')
  })

  it('does not happen when the grant turns out to be lost, and then says so', async () => {
    const { time, locks, other } = start({ renew: false, ttlMs: 10_000 })
    const first = await locks.acquire('a')
    const waiting = locks.acquire('a', { ttlMs: 2000 })
    await other.forceRelease('a', { reason: 'test' })
    expect(await first.release()).toBe('not-held')
    await time.advance(10)
    const second = await waiting
    second.assertHeld()
    expect(second.fence).toBeGreaterThan(first.fence + 32)
  })

  it.each([100, 100_000_000])(
    'gives the next one its own time though the last has just asked for %d ms',
    async (ttlMs) => {
      const { time, locks, next } = start({ ttlMs: 3000 })
      const first = await locks.acquire('a')
      const waiting = locks.acquire('a', { renew: false })
      const { open, opened } = gate()
      next('extend', opened)
      const refused = expect(first.extend(ttlMs)).rejects.toMatchObject({ code: 'LOCK_LOST' })
      await settled()
      const released = first.release()
      open()
      await time.advance(1)
      const second = await waiting
      await Promise.all([refused, released])
      await settled()
      expect(second.remainingMs()).toBeLessThan(3000)
      expect(second.remainingMs()).toBeGreaterThan(2900)
      expect((await locks.inspect('a'))?.holders[0]?.remainingMs).toBeLessThanOrEqual(3000)
    },
  )

  it('lets the next one ask for itself when the backend cannot be asked', async () => {
    const { time, locks, next } = start({ renew: false })
    const first = await locks.acquire('a')
    const waiting = locks.acquire('a', { ttlMs: 2000 })
    next('extend', 'refused')
    expect(await first.release()).toBe('released')
    await time.advance(10)
    expect(await stateOf(waiting)).toBe('fulfilled')

    const third = locks.acquire('a', { waitMs: 60_000 })
    await settled()
    next('extend', 'refused')
    next('release', 'refused')
    await expect((await waiting).release()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await time.advance(2001)
    expect(await stateOf(third)).toBe('fulfilled')
  })

  it('begins anew when the holder loses the lock', async () => {
    const { time, locks, always } = start({ ttlMs: 3000 })
    const first = await locks.acquire('a')
    const waiting = locks.acquire('a')
    always('extend', 'refused')
    await time.advance(3100)
    expect(first.signal.aborted).toBe(true)
    const second = await waiting
    expect(second.fence).toBeGreaterThan(first.fence + 32)
  })

  it('keeps the place of a process whose first waiter leaves', async () => {
    const { time, locks, other, another } = start()
    const held = await other.acquire('a')
    const leaving = locks.acquire('a', { waitMs: 100 }).catch((error: unknown) => error)
    const staying = locks.acquire('a', { ttlMs: 5000 })
    await time.advance(50)
    const order: string[] = []
    const far = another().using('a', () => order.push('far'))
    void staying.then(() => order.push('staying'))
    await time.advance(1000)
    expect(await leaving).toMatchObject({ code: 'LOCK_TIMEOUT' })
    await held.release()
    await time.advance(10)
    expect((await staying).remainingMs()).toBeLessThan(5000)
    await (await staying).release()
    await far
    expect(order).toEqual(['staying', 'far'])
  })

  it('is not asked for by a single attempt: that finds the lock busy without a question', async () => {
    const { locks, count } = start()
    const first = await locks.acquire('a')
    const waiting = locks.acquire('a')
    expect(await locks.tryAcquire('a')).toBeNull()
    await first.release()
    expect(await locks.tryAcquire('a')).toBeNull()
    await (await waiting).release()
    expect(count('acquire')).toBe(1)
    expect(await locks.tryAcquire('a')).not.toBeNull()
  })
})
