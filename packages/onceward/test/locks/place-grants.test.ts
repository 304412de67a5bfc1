import { describe, expect, it } from 'vitest'
import { createLocks } from '../../src/locks/create-locks.ts'
import type { PlaceGrant } from '../../src/locks/lock-backend.ts'
import * as transitions from '../../src/locks/lock-transitions.ts'
import { settled, start, stateOf } from './lock-rig.ts'

/** How long a place is kept that nobody renews, in ms. */
const PLACE_MS = 6000

describe('a place that becomes the grant', () => {
  it('is a lease without another question, which is soon extended to the time that was asked for', async () => {
    for (const renew of [true, false]) {
      const { time, locks, other, count } = start({ ttlMs: 20_000, renew })
      const held = await other.acquire('a')
      const waiting = locks.acquire('a')
      await time.advance(100)
      const asked = count('acquire')
      await held.release()
      const lease = await waiting
      expect(lease.fence).toBeGreaterThan(held.fence)
      expect([count('acquire') - asked, count('extend')]).toEqual([0, 0])
      expect(lease.remainingMs()).toBeLessThan(PLACE_MS)
      expect(lease.remainingMs()).toBeGreaterThan(PLACE_MS / 2)
      await time.advance(50)
      expect(count('extend')).toBe(1)
      expect(lease.remainingMs()).toBeGreaterThan(19_000)
      await time.advance(18_000)
      lease.assertHeld()
      await time.advance(5000)
      expect(lease.remainingMs() > 0).toBe(renew)
    }
  })

  it('costs no extension where the work is short, also of those who follow in the process', async () => {
    const { time, locks, other, count } = start()
    const held = await other.acquire('a')
    const runs = Array.from({ length: 10 }, () => locks.using('a', ({ fence }) => fence))
    await time.advance(100)
    await held.release()
    const fences = await Promise.all(runs)
    expect(fences).toEqual(fences.map((_, n) => (fences[0] as number) + n))
    expect(count('extend')).toBe(0)
  })

  it('ends for its owner before it ends for others', async () => {
    const { time, locks, other, always, another, events } = start()
    const held = await other.acquire('a')
    const waiting = locks.acquire('a')
    // More than the margin for clocks: what is counted from the wake is counted wrongly.
    await time.advance(900)
    await held.release()
    const lease = await waiting
    always('extend', 'refused')
    const next = another().acquire('a')
    await time.advance(lease.remainingMs() + 1)
    expect(lease.signal.aborted).toBe(true)
    expect(events.map(({ type }) => type)).toContain('lost')
    expect(await stateOf(next)).toBe('pending')
    await time.advance(500)
    expect((await next).fence).toBeGreaterThan(lease.fence)
  })

  it('keeps others from the lock no longer than the place would have, when its process is gone', async () => {
    const { time, backend, other, another, always } = start()
    const gone = createLocks({ ...backend, watch: () => () => {} }, { clock: time, timers: time })
    const held = await other.acquire('a')
    void gone.acquire('a').catch(() => {})
    await time.advance(100)
    // From now on nothing that it asks reaches anybody.
    always('acquire', 'deaf')
    always('release', 'deaf')
    const next = another().acquire('a')
    await time.advance(100)
    await held.release()
    await time.advance(PLACE_MS + 100)
    expect(await stateOf(next)).toBe('fulfilled')
  })

  it('is counted from the request for the place, and worth nothing when that is too long ago', async () => {
    const { time, backend, other } = start()
    const late: (PlaceGrant | undefined)[] = []
    let wake: (granted?: PlaceGrant) => void = () => {}
    const watch: typeof backend.watch = (held, own) => {
      wake = own
      return backend.watch?.(held, (granted) => void late.push(granted)) ?? (() => {})
    }
    const locks = createLocks({ ...backend, watch }, { clock: time, timers: time, waitMs: 60_000 })
    const held = await other.acquire('a')
    const waiting = locks.acquire('a')
    await settled()
    await held.release()
    await settled()
    // The process stands still: its clock goes on, and nothing of it runs.
    time.jump(PLACE_MS)
    wake(late[0])
    const lease = await waiting
    expect(lease.fence).toBeGreaterThan((late[0]?.fence ?? Infinity) + 32)
    lease.assertHeld()
  })

  it('is told of by the request that took the place last, and by no other', async () => {
    const { time, backend, other, count } = start()
    const wakes: ((granted?: PlaceGrant) => void)[] = []
    const watch = (_: unknown, wake: (granted?: PlaceGrant) => void) => {
      wakes.push(wake)
      return () => {}
    }
    const locks = createLocks({ ...backend, watch }, { clock: time, timers: time })
    const held = await other.acquire('a')
    const waiting = locks.acquire('a')
    await settled()
    const asked = count('acquire')
    wakes[0]?.({ round: 1, fence: 1 })
    await settled()
    expect(await stateOf(waiting)).toBe('pending')
    expect(count('acquire')).toBe(asked + 1)
    await held.release()
    wakes[0]?.({ round: asked + 1, fence: held.fence + 1 })
    expect((await waiting).fence).toBe(held.fence + 1)
    expect(count('acquire')).toBe(asked + 1)
  })

  it('counts from the place at the earliest, also where room is made by a step that read the clock before it', () => {
    const plain = { key: 'a', mode: 'exclusive', permits: 1, owner: 'one' } as const
    const held = transitions.acquire(undefined, { ...plain, token: 'h', ttlMs: 30_000 }, 500).record
    const place = { ...plain, token: 'w', ttlMs: 300, placeMs: 6000, round: 1 }
    const waited = transitions.acquire(held, place, 1000).record
    // It then waited for the lock of the row.
    const { record } = transitions.release(waited, { key: 'a', token: 'h' }, 800)
    expect(record?.holders).toMatchObject([{ token: 'w', until: 1300 }])
  })

  it('goes to nobody who is told of nothing', async () => {
    const { time, other, another } = start()
    const held = await other.acquire('a')
    void another({ push: false }).acquire('a')
    await time.advance(2000)
    await held.release()
    expect((await other.inspect('a'))?.holders).toEqual([])
  })

  it('is passed on when its caller has left meanwhile', async () => {
    const { time, locks, other, another } = start()
    const held = await other.acquire('a')
    const leaving = locks.acquire('a', { waitMs: 1000 }).catch(() => 'left')
    await time.advance(500)
    const next = another().acquire('a')
    await time.advance(499)
    await Promise.all([held.release(), time.advance(10)])
    await time.advance(100)
    const lease = await leaving
    if (typeof lease !== 'string') await lease.release()
    await time.advance(100)
    expect(await stateOf(next)).toBe('fulfilled')
  })
})

describe('one who overtakes', () => {
  it('has a place from its second question on, so that a line is not in its way for ever', async () => {
    const { time, locks, other, another } = start({ waitMs: 60_000 })
    const held = await other.acquire('a')
    const overtaking = locks.acquire('a', { fair: false })
    await time.advance(100)
    const behind = another().acquire('a', { waitMs: 60_000 })
    await time.advance(100)
    await held.release()
    await time.advance(10)
    expect([await stateOf(overtaking), await stateOf(behind)]).toEqual(['fulfilled', 'pending'])
  })
})
