import { describe, expect, it } from 'vitest'
import type { ExtendRequest } from '../../src/locks/lock-backend.ts'
import { start } from './lock-rig.ts'

describe('the watchdog of ten thousand leases', () => {
  // Forty thousand extensions and their timers are four seconds of work, and on a busy machine five times as much.
  it('extends them in few calls of at most 500, on one timer', { timeout: 120_000 }, async () => {
    const { time, locks, asked, count, pending } = start({ ttlMs: 30_000 })
    const leases = []
    for (let second = 0; second < 10; second++) {
      for (let n = 0; n < 1000; n++) leases.push(await locks.acquire(`a${second}:${n}`))
      await time.advance(1000)
    }
    expect(pending()).toBe(1)
    const before = count('extend')
    await time.advance(30_000)
    for (const lease of leases) lease.assertHeld()
    // Three rounds of at least twenty calls each.
    expect(count('extend') - before).toBeGreaterThanOrEqual(60)
    expect(count('extend') - before).toBeLessThanOrEqual(120)
    const sizes = asked.flatMap(({ method, args: [requests] }) =>
      method === 'extend' ? [(requests as readonly ExtendRequest[]).length] : [],
    )
    expect(Math.max(...sizes)).toBeLessThanOrEqual(500)
    await Promise.all(leases.map((lease) => lease.release()))
    expect(pending()).toBe(0)
  })

  it('extends those together that are due at nearly the same time', async () => {
    const { time, locks, count } = start({ ttlMs: 30_000 })
    for (let n = 0; n < 100; n++) {
      await locks.acquire(`a${n}`)
      await time.advance(3)
    }
    await time.advance(11_000)
    expect(count('extend')).toBeLessThanOrEqual(2)
  })

  it('extends those asked for by hand in one turn in one call', async () => {
    const { locks, count } = start({ renew: false })
    const group = await locks.acquireAll(Array.from({ length: 100 }, (_, n) => `a${n}`))
    await group.extend()
    expect(count('extend')).toBe(1)
  })

  it('keeps together what failed together', async () => {
    const { time, locks, count, always } = start({ ttlMs: 30_000 })
    const leases = await Promise.all(Array.from({ length: 400 }, (_, n) => locks.acquire(`a${n}`)))
    always('extend', 'refused')
    await time.advance(20_000)
    expect(count('extend')).toBeLessThan(150)
    always('extend', undefined)
    await time.advance(5000)
    for (const lease of leases) lease.assertHeld()
  })

  it('loses only those that the backend names', async () => {
    const { time, locks, other } = start({ ttlMs: 3000 })
    const leases = await Promise.all(Array.from({ length: 100 }, (_, n) => locks.acquire(`a${n}`)))
    await other.forceRelease('a42', { reason: 'test' })
    await time.advance(1500)
    expect(leases.filter(({ signal }) => signal.aborted).map(({ key }) => key)).toEqual(['a42'])
  })

  it('counts answers that come late, for as long as they are still worth something', async () => {
    const { time, locks, always } = start({ ttlMs: 3000 })
    const lease = await locks.acquire('a')
    // Each answer takes half of the ttl, which is longer than it is waited for.
    // biome-ignore lint/suspicious/noThenProperty: each call waits anew.
    const slow: PromiseLike<void> = { then: (done) => void time.after(1500, () => done?.()) as never }
    always('extend', slow as Promise<void>)
    await time.advance(20_000)
    lease.assertHeld()
  })
})
