import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createLocks } from '../../src/locks/create-locks.ts'
import type { ExtendRequest } from '../../src/locks/lock-backend.ts'
import { gate, settled, start } from './lock-rig.ts'

/** The own deadline of a lease of `ttlMs`: 2 % and 2 ms before the backend's. */
const validMs = (ttlMs: number) => ttlMs - (ttlMs * 0.02 + 2)

describe('a lease', () => {
  it('counts from before the request was sent, and ends before the backend ends it', async () => {
    const { time, locks, next } = start({ renew: false })
    const { open, opened } = gate()
    next('acquire', opened)
    const acquiring = locks.acquire('a', { ttlMs: 1000 })
    await time.advance(300)
    open()
    const lease = await acquiring
    expect(lease.remainingMs()).toBe(validMs(1000) - 300)
    let abortedAt = 0
    const from = time.now()
    lease.signal.addEventListener('abort', () => {
      abortedAt = time.now() - from
    })
    await time.advance(validMs(1000) - 301)
    lease.assertHeld()
    await time.advance(1)
    expect(abortedAt).toBe(validMs(1000) - 300)
    expect(lease.signal.reason).toMatchObject({ code: 'LOCK_LOST', effect: 'unknown' })
    expect(() => lease.assertHeld()).toThrow(expect.objectContaining({ code: 'LOCK_LOST' }))
    expect(lease.remainingMs()).toBe(0)
  })

  it('is printed without the right to it', async () => {
    const { locks } = start({ ttlMs: 3000 })
    const lease = await locks.acquire('a')
    const { token } = lease
    for (const printed of [inspect(lease, { depth: 9, showHidden: true }), JSON.stringify({ lease })]) {
      expect(printed).toContain(String(lease.fence))
      expect(printed).not.toContain(token)
      expect(printed).not.toMatch(/[\w-]{20,}/)
    }
  })

  it('is noticed as lost by reading it, before any timer fires', async () => {
    for (const look of ['signal', 'assertHeld', 'remainingMs'] as const) {
      const { time, locks } = start()
      const lease = await locks.acquire('a', { ttlMs: 1000 })
      const { signal } = lease
      time.jump(979)
      if (look === 'signal') expect(lease.signal.aborted).toBe(true)
      else if (look === 'assertHeld') expect(() => lease.assertHeld()).toThrow()
      else expect(lease.remainingMs()).toBe(0)
      expect(signal.aborted).toBe(true)
    }
  })

  it('is lost when the wall clock says that the process stood still, whatever the monotonic clock says', async () => {
    const { time } = start()
    let suspendedMs = 0
    const rig = start({ clock: { now: () => time.now() + suspendedMs, monotonic: () => time.monotonic() } })
    const lease = await rig.locks.acquire('a', { ttlMs: 1000 })
    lease.assertHeld()
    suspendedMs = 60_000
    expect(lease.signal.aborted).toBe(true)
  })

  it('takes the drift of its backend into account', async () => {
    const { backend, time } = start()
    const locks = createLocks({ ...backend, drift: 0.1 }, { clock: time, timers: time })
    expect((await locks.acquire('a', { ttlMs: 1000 })).remainingMs()).toBe(validMs(1000) - 100)
  })

  it('that is spent when its grant arrives is given back, and not counted as granted', async () => {
    const { time, locks, next, other } = start()
    const { open, opened } = gate()
    next('acquire', opened)
    const trying = locks.tryAcquire('a', { ttlMs: 1000 })
    await time.advance(990)
    open()
    expect(await trying).toBeNull()
    await settled()
    expect(await other.tryAcquire('a')).not.toBeNull()
  })

  it('is extended every third of its time for as long as it is held', async () => {
    const { time, locks, count, other } = start()
    const lease = await locks.acquire('a', { ttlMs: 3000 })
    await time.advance(60_000)
    lease.assertHeld()
    expect(count('extend')).toBeGreaterThanOrEqual(60)
    expect(count('extend')).toBeLessThan(70)
    expect(await other.tryAcquire('a')).toBeNull()
    expect(await lease.release()).toBe('released')
    const before = count('extend')
    await time.advance(10_000)
    expect(count('extend')).toBe(before)
  })

  it('is not extended when that was not asked for', async () => {
    const { time, locks, count } = start()
    const lease = await locks.acquire('a', { ttlMs: 3000, renew: false })
    await time.advance(3000)
    expect(count('extend')).toBe(0)
    expect(lease.signal.aborted).toBe(true)
  })

  it('is lost at once when the backend says so', async () => {
    const { time, locks, other, events } = start()
    const lease = await locks.acquire('a', { ttlMs: 3000 })
    const { signal } = lease
    await other.forceRelease('a', { reason: 'it hangs' })
    await time.advance(1000)
    expect(signal.aborted).toBe(true)
    expect(events.at(-1)).toMatchObject({ type: 'lost', key: 'a', fence: lease.fence })
    expect(await lease.release()).toBe('not-held')
  })

  it('survives failing extensions as long as one comes through in time, and tells of them', async () => {
    const { time, locks, always, events } = start()
    const lease = await locks.acquire('a', { ttlMs: 3000 })
    always('extend', 'refused')
    await time.advance(2500)
    lease.assertHeld()
    always('extend', undefined)
    await time.advance(1000)
    lease.assertHeld()
    expect(events.filter(({ type }) => type === 'extend-failed').length).toBeGreaterThan(2)
  })

  it('ends at its own deadline while the backend is away, and is not brought back by a late answer', async () => {
    const { time, locks, always, other } = start()
    const lease = await locks.acquire('a', { ttlMs: 3000 })
    const { open, opened } = gate()
    always('extend', opened)
    await time.advance(2937)
    lease.assertHeld()
    await time.advance(1)
    expect(lease.signal.aborted).toBe(true)
    always('extend', undefined)
    open()
    await settled()
    expect(lease.remainingMs()).toBe(0)
    // What the backend has extended for nobody is given back.
    expect(await other.tryAcquire('a')).not.toBeNull()
  })

  it('is not brought back by an answer that a blocked process reads after its deadline', async () => {
    const { time, locks, next, another } = start()
    const lease = await locks.acquire('a', { ttlMs: 3000 })
    const { open, opened } = gate()
    next('extend', opened)
    await time.advance(1000)
    time.jump(1950)
    open()
    await settled()
    expect(lease.remainingMs()).toBe(0)
    expect(lease.signal.reason).toMatchObject({ code: 'LOCK_LOST' })
    expect(await another().tryAcquire('a')).not.toBeNull()
  })

  it('is tried to be extended again while an extension is never answered', async () => {
    const { time, locks, next, count } = start()
    const lease = await locks.acquire('a', { ttlMs: 3000 })
    next('extend', 'deaf')
    await time.advance(2900)
    expect(count('extend')).toBeGreaterThanOrEqual(2)
    await time.advance(10_000)
    lease.assertHeld()
  })

  it('is held for maxHoldMs and the rest of its time at most', async () => {
    const { time, locks, events } = start()
    const lease = await locks.acquire('a', { ttlMs: 3000, maxHoldMs: 10_000 })
    await time.advance(10_000)
    lease.assertHeld()
    await time.advance(4000)
    expect(lease.signal.reason).toMatchObject({ code: 'LOCK_LOST' })
    expect(events.filter(({ type }) => type === 'expired-hold')).toHaveLength(1)
  })

  it('can be extended by hand, and made shorter', async () => {
    const { time, locks, other } = start({ renew: false })
    const lease = await locks.acquire('a', { ttlMs: 3000 })
    await lease.extend(10_000)
    expect(lease.remainingMs()).toBe(validMs(10_000))
    await time.advance(5000)
    await lease.extend(100)
    expect(lease.remainingMs()).toBe(validMs(100))
    await time.advance(100)
    expect(lease.signal.aborted).toBe(true)
    expect(await other.tryAcquire('a')).not.toBeNull()
    await expect(lease.extend()).rejects.toMatchObject({ code: 'LOCK_LOST' })
  })

  it('keeps a time that was set by hand when the watchdog extends it', async () => {
    const { time, locks, asked } = start()
    const lease = await locks.acquire('a', { ttlMs: 30_000 })
    await lease.extend(3000)
    await time.advance(10_000)
    lease.assertHeld()
    expect(lease.remainingMs()).toBeLessThan(3000)
    const [request] = (asked.at(-1)?.args[0] ?? []) as readonly ExtendRequest[]
    expect(request?.ttlMs).toBe(3000)
  })

  it('is as it was when an extension fails, or shorter where it may have been carried out', async () => {
    const { locks, next } = start({ renew: false })
    const lease = await locks.acquire('a', { ttlMs: 3000 })
    next('extend', 'reply lost')
    await expect(lease.extend(9000)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(lease.remainingMs()).toBe(validMs(3000))
    next('extend', 'reply lost')
    await expect(lease.extend(100)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(lease.remainingMs()).toBe(validMs(100))
  })

  it('is lost at its earlier end while the answer to being made shorter is on its way', async () => {
    const { time, locks, other, next } = start({ ttlMs: 30_000 })
    const lease = await locks.acquire('a')
    next('extend', 'mute')
    const extending = expect(lease.extend(100)).rejects.toMatchObject({ code: 'LOCK_LOST' })
    await settled()
    expect(lease.remainingMs()).toBe(validMs(100))
    // No timer fires while the event loop is blocked; meanwhile another is granted the lock.
    time.jump(100)
    const following = other.tryAcquire('a')
    expect(() => lease.assertHeld()).toThrow()
    expect(await following).not.toBeNull()
    await extending
  })

  it('refuses an extension that ends with its release or its loss', async () => {
    const { locks, next, other, time } = start({ renew: false })
    const lease = await locks.acquire('a', { ttlMs: 3000 })
    next('extend', 'deaf')
    const extending = lease.extend()
    const refused = expect(extending).rejects.toMatchObject({ code: 'LOCK_LOST' })
    await settled()
    await lease.release()
    await refused
    const second = await locks.acquire('a', { ttlMs: 3000 })
    await other.forceRelease('a', { reason: 'test' })
    await expect(second.extend()).rejects.toMatchObject({ code: 'LOCK_LOST' })
    await time.advance(1000)
    expect(time.pending).toBe(0)
  })
})

describe('release', () => {
  it('answers the same however often it is called', async () => {
    const { locks, count } = start()
    const lease = await locks.acquire('a')
    const answers = await Promise.all([lease.release(), lease.release()])
    expect([...answers, await lease.release()]).toEqual(['released', 'released', 'released'])
    expect(count('release')).toBe(1)
    expect(lease.signal.aborted).toBe(false)
    expect(() => lease.assertHeld()).toThrow(expect.objectContaining({ code: 'LOCK_LOST' }))
  })

  it('never touches the lock of another, and does not throw for a lease that has lapsed', async () => {
    const { time, locks, other } = start({ renew: false })
    const lease = await locks.acquire('a', { ttlMs: 1000 })
    await time.advance(1000)
    const second = await other.acquire('a')
    expect(await lease.release()).toBe('not-held')
    await settled()
    second.assertHeld()
    expect((await other.inspect('a'))?.holders).toHaveLength(1)
  })

  it('is not decided by the name of the owner: two processes of one name keep each other out', async () => {
    const { backend, time } = start()
    const named = () => createLocks(backend, { clock: time, timers: time, owner: 'host-1' })
    const [one, two] = [named(), named()]
    const lapsed = await one.acquire('a', { ttlMs: 1000, renew: false })
    expect(await two.tryAcquire('a')).toBeNull()
    time.jump(1000)
    const held = await two.acquire('a')
    expect(await lapsed.release()).toBe('not-held')
    await time.advance(0)
    held.assertHeld()
    expect((await one.inspect('a'))?.holders[0]).toMatchObject({ owner: 'host-1', fence: held.fence })
    expect(await one.tryAcquire('a')).toBeNull()
  })

  it('throws when nobody knows, and can be called again', async () => {
    const { locks, next, other } = start()
    const lease = await locks.acquire('a')
    next('release', 'refused')
    await expect(lease.release()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'unknown' })
    expect(await lease.release()).toBe('released')
    expect(await other.tryAcquire('a')).not.toBeNull()
  })

  it('is not disturbed by an extension under way', async () => {
    const { time, locks, next, other } = start()
    const lease = await locks.acquire('a', { ttlMs: 3000 })
    const { open, opened } = gate()
    next('extend', opened)
    await time.advance(1000)
    expect(await lease.release()).toBe('released')
    open()
    await settled()
    expect(await other.tryAcquire('a')).not.toBeNull()
    expect(lease.signal.aborted).toBe(false)
    expect(time.pending).toBe(1)
  })

  it('happens at the end of a block, quietly and as soon as the backend can', async () => {
    const { time, locks, next, other, events } = start()
    const lease = await locks.acquire('a')
    next('release', 'refused', 'refused')
    await lease[Symbol.asyncDispose]()
    expect(events.at(-1)).toMatchObject({ type: 'release-failed', key: 'a' })
    await time.advance(1000)
    expect(await other.tryAcquire('a')).not.toBeNull()
  })
})

describe('using', () => {
  it('answers what the work answers and throws what it throws, whatever becomes of the lock', async () => {
    const { time, locks, other, always } = start()
    const thrown = { not: 'even an error' }
    for (const work of [() => thrown, async () => thrown]) expect(await locks.using('a', work)).toBe(thrown)
    for (const work of [
      () => {
        throw thrown
      },
      () => Promise.reject(thrown),
    ])
      await expect(locks.using('a', work)).rejects.toBe(thrown)

    const lost = await locks.using('a', { ttlMs: 1000 }, async (lease) => {
      await other.forceRelease('a', { reason: 'test' })
      await time.advance(1000)
      return lease.signal.aborted
    })
    expect(lost).toBe(true)

    always('release', 'refused')
    expect(await locks.using('a', () => 1)).toBe(1)
    await expect(locks.using('b', () => Promise.reject(thrown))).rejects.toBe(thrown)
    always('release', 'deaf')
    const stuck = locks.using('c', () => 2)
    await time.advance(1000)
    expect(await stuck).toBe(2)
  })

  it('refuses to begin without work, before anything is asked for', async () => {
    const { locks, count } = start()
    await expect(locks.using('a', {}, undefined as never)).rejects.toThrow(TypeError)
    expect(count('acquire')).toBe(0)
  })
})
