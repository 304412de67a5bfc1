import { describe, expect, it } from 'vitest'
import { OncewardError } from '../../src/core/errors.ts'
import { createLocks } from '../../src/locks/create-locks.ts'
import type { AcquireRequest } from '../../src/locks/lock-backend.ts'
import { gate, settled, start, stateOf, withoutPush } from './lock-rig.ts'

describe('waiting for a lock', () => {
  it('ends with the grant as soon as the holder gives it back, without waiting for a poll', async () => {
    const { time, locks, other, events } = start()
    const held = await other.acquire('a')
    const waiting = locks.acquire('a')
    await time.advance(400)
    expect(await stateOf(waiting)).toBe('pending')
    expect(events.map(({ type }) => type)).toEqual(['waiting'])
    await held.release()
    const lease = await waiting
    expect(lease.fence).toBeGreaterThan(held.fence)
    expect(events.at(-1)).toMatchObject({ type: 'acquired', durationMs: 400 })
  })

  it('ends after waitMs, names the lock, and leaves nothing behind', async () => {
    const { time, locks, other, pending, watching, events } = start()
    await other.acquire('a', { renew: false })
    const waiting = locks.acquire('a', { waitMs: 1000 })
    const refused = expect(waiting).rejects.toMatchObject({
      code: 'LOCK_TIMEOUT',
      effect: 'none',
      message: expect.stringContaining('locks.inspect("a")'),
      retryAfterMs: expect.any(Number),
    })
    await time.advance(999)
    expect(await stateOf(waiting)).toBe('pending')
    await time.advance(1)
    await refused
    expect((await other.inspect('a'))?.waiting).toBe(0)
    expect(pending()).toBe(0)
    expect(watching.size).toBe(0)
    expect(events.at(-1)).toMatchObject({ type: 'timed-out', durationMs: 1000 })
  })

  it('is one attempt with no place where there is no time to wait', async () => {
    const { locks, other, count } = start()
    await other.acquire('a')
    await expect(locks.acquire('a', { waitMs: 0 })).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
    expect(count('acquire')).toBe(1)
    expect((await other.inspect('a'))?.waiting).toBe(0)
  })

  it('ends with the signal, before and while waiting, and forgets it', async () => {
    const { time, locks, other, pending, count } = start()
    await other.acquire('a')
    const reason = new Error('the user went away')
    const aborted = { code: 'ABORTED', effect: 'none', cause: reason }
    await expect(locks.acquire('a', { signal: AbortSignal.abort(reason) })).rejects.toMatchObject(aborted)
    expect(count('acquire')).toBe(0)
    const { signal, listeners, abort } = countedSignal()
    const waits = [locks.acquire('a', { signal }), locks.acquire('a', { signal })]
    const refused = waits.map((wait) => expect(wait).rejects.toMatchObject(aborted))
    await time.advance(100)
    abort(reason)
    await time.advance(10)
    await Promise.all(refused)
    expect((await other.inspect('a'))?.waiting).toBe(0)
    expect(pending()).toBe(0)
    const second = countedSignal()
    await (await locks.acquire('b', { signal: second.signal })).release()
    expect([listeners(), second.listeners()]).toEqual([0, 0])
  })

  it('keeps its place in the order of all processes, however long it waits', async () => {
    const { time, locks, other, another } = start({ waitMs: 60_000 })
    const held = await other.acquire('a')
    const order: string[] = []
    const first = locks.using('a', () => order.push('first'))
    await time.advance(20_000)
    const second = another().using('a', { waitMs: 60_000 }, () => order.push('second'))
    await time.advance(20_000)
    await held.release()
    await time.advance(5000)
    await Promise.all([first, second])
    expect(order).toEqual(['first', 'second'])
  })

  it('asks again now and then, so that a wake that is lost costs time only', async () => {
    const { time, backend, other } = start()
    const deaf = createLocks({ ...backend, watch: () => () => {} }, { clock: time, timers: time })
    const held = await other.acquire('a')
    const waiting = deaf.acquire('a')
    await time.advance(3000)
    await held.release()
    await time.advance(2001)
    expect(await stateOf(waiting)).toBe('fulfilled')
  })

  it('polls where nothing can be heard of wakes, also after a release that asks for the next one', async () => {
    const { backend, time } = start()
    const watch = () => {
      throw new Error('no subscription')
    }
    const locks = createLocks({ ...backend, watch }, { clock: time, timers: time, localHandovers: 0 })
    const first = await locks.acquire('a')
    const [second, third] = [locks.acquire('a'), locks.acquire('a')]
    await settled()
    expect(await first.release()).toBe('released')
    await time.advance(10)
    await (await second).release()
    await time.advance(10)
    ;(await third).assertHeld()
  })

  it('polls a backend that wakes nobody, ever more slowly, up to four times a second', async () => {
    const { time, backend, other, count } = start()
    const locks = createLocks(withoutPush(backend), { clock: time, timers: time })
    const held = await other.acquire('a')
    const waiting = locks.acquire('a')
    await time.advance(1000)
    const asked = count('acquire')
    expect(asked).toBeGreaterThan(5)
    await time.advance(5000)
    expect(count('acquire') - asked).toBeLessThan(5000 / 180)
    await held.release()
    await time.advance(320)
    expect(await stateOf(waiting)).toBe('fulfilled')
  })

  it('lets those overtake who do not want to be fair', async () => {
    const { time, locks, other, another } = start()
    const held = await other.acquire('a')
    const fair = another({ push: false }).acquire('a')
    await time.advance(2000)
    await held.release()
    // It is free now, and the one whose turn it is has not asked again yet.
    expect(await locks.tryAcquire('a')).toBeNull()
    const overtaking = await locks.acquire('a', { fair: false })
    await time.advance(1000)
    expect(await stateOf(fair)).toBe('pending')
    await overtaking.release()
    await time.advance(1000)
    expect(await stateOf(fair)).toBe('fulfilled')
  })
})

describe('a wait over a backend that fails', () => {
  it('goes on with the same token, so that a grant whose reply was lost is found', async () => {
    const { time, locks, next, asked } = start()
    next('acquire', 'reply lost', 'refused')
    const waiting = locks.acquire('a')
    await time.advance(1000)
    const lease = await waiting
    const tokens = asked.map(({ args: [request] }) => (request as AcquireRequest).token)
    expect(new Set(tokens).size).toBe(1)
    expect(tokens).toHaveLength(3)
    expect(await lease.release()).toBe('released')
  })

  it('tells after waitMs that the backend failed, and leaves nothing behind, a grant included', async () => {
    const { time, locks, always, other, pending } = start()
    always('acquire', 'reply lost')
    const waiting = locks.acquire('a', { waitMs: 500 })
    const refused = expect(waiting).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
    await time.advance(2000)
    await refused
    expect(await other.tryAcquire('a')).not.toBeNull()
    expect(pending()).toBe(0)
  })

  it('is not said to be the fault of others when the backend never answers', async () => {
    const { time, locks, always } = start()
    always('acquire', 'deaf')
    const waiting = locks.acquire('a', { waitMs: 2000 })
    const refused = expect(waiting).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
    await time.advance(3000)
    await refused
  })

  it('ends at once with an error that time does not mend', async () => {
    const { locks, backend, time } = start()
    const broken = { ...backend, acquire: () => Promise.reject(new OncewardError('SCHEMA_MISSING')) }
    const others = createLocks(broken, { clock: time, timers: time })
    await expect(others.acquire('a')).rejects.toMatchObject({ code: 'SCHEMA_MISSING' })
    expect(await locks.tryAcquire('a')).not.toBeNull()
  })

  it('undoes an attempt that is answered after nobody waits for it any more', async () => {
    const { time, locks, next, other, pending } = start()
    for (const trouble of [gate(), gate()]) {
      next('acquire', trouble.opened)
      const waiting = locks.acquire('a', { waitMs: 100 })
      const refused = expect(waiting).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
      await time.advance(3000)
      await refused
      trouble.open()
      await settled()
      const lease = await other.tryAcquire('a')
      expect(lease).not.toBeNull()
      await lease?.release()
      await time.advance(5000)
      expect(pending()).toBe(0)
    }
  })

  it('undoes an attempt that reaches the backend after it was taken back', async () => {
    const { time, locks, next, another } = start()
    const { open, opened } = gate()
    next('acquire', { late: opened })
    const waiting = locks.acquire('a', { waitMs: 100 })
    const refused = expect(waiting).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
    await time.advance(1000)
    await refused
    open()
    await settled()
    expect(await another().tryAcquire('a')).not.toBeNull()
  })

  it('undoes what reaches the backend after the lease of the same wait has ended, and not before', async () => {
    const { time, locks, next, another } = start()
    const gates = [gate(), gate()]
    next('acquire', ...gates.map(({ opened }) => ({ late: opened })))
    const waiting = locks.acquire('a', { waitMs: 60_000 })
    await time.advance(11_000)
    const lease = await waiting
    gates[0]?.open()
    await settled()
    expect(await another().tryAcquire('a')).toBeNull()
    lease.assertHeld()
    expect(await lease.release()).toBe('released')
    gates[1]?.open()
    await settled()
    expect(await another().tryAcquire('a')).not.toBeNull()
  })

  it('undoes a single attempt whose reply was lost, and throws', async () => {
    const { locks, next, other, time, always } = start()
    next('acquire', 'reply lost')
    await expect(locks.tryAcquire('a')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(await other.tryAcquire('a')).not.toBeNull()
    always('acquire', 'mute')
    const trying = locks.tryAcquire('b')
    const refused = expect(trying).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
    await time.advance(6000)
    await refused
    expect(await other.tryAcquire('b')).not.toBeNull()
  })

  it('gives back a grant of which it never heard, for as long as that can hold', async () => {
    const { time, locks, next, always, other } = start({ ttlMs: 60_000 })
    next('acquire', 'reply lost')
    always('acquire', 'refused')
    always('release', 'refused')
    const waiting = locks.acquire('a', { waitMs: 1000 })
    const refused = expect(waiting).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await time.advance(20_000)
    await refused
    expect(await other.tryAcquire('a')).toBeNull()
    always('release', undefined)
    await time.advance(3000)
    expect(await other.tryAcquire('a')).not.toBeNull()
  })

  it('cleans up in the background while the backend is away for longer', async () => {
    const { time, locks, next, always, other } = start()
    always('release', 'refused')
    next('acquire', 'reply lost')
    const trying = locks.tryAcquire('a')
    const refused = expect(trying).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await time.advance(600)
    await refused
    expect(await other.tryAcquire('a')).toBeNull()
    always('release', undefined)
    await time.advance(3000)
    expect(await other.tryAcquire('a')).not.toBeNull()
  })
})

function countedSignal() {
  const controller = new AbortController()
  const { signal } = controller
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = ((...args: Parameters<typeof add>) => {
    listeners++
    add(...args)
  }) as typeof signal.addEventListener
  signal.removeEventListener = ((...args: Parameters<typeof remove>) => {
    listeners--
    remove(...args)
  }) as typeof signal.removeEventListener
  return { signal, listeners: () => listeners, abort: (reason: unknown) => controller.abort(reason) }
}
