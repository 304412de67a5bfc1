import { describe, expect, it } from 'vitest'
import { gate, settled, start } from './lock-rig.ts'

describe('re-entry', () => {
  const again = { reentrant: true, waitMs: 100 }

  it('gets the outer lease, which only the outermost one gives back', async () => {
    const { locks, other, count } = start()
    await locks.using('a', again, async (outer) => {
      await locks.using('a', again, async (inner) => {
        expect([inner.fence, inner.key, inner.token]).toEqual([outer.fence, 'a', outer.token])
        const innermost = await locks.tryAcquire('a', { reentrant: true })
        expect(await innermost?.release()).toBe('released')
        expect(innermost?.remainingMs()).toBe(0)
        expect(() => innermost?.assertHeld()).toThrow()
        inner.assertHeld()
      })
      outer.assertHeld()
      expect(await other.tryAcquire('a')).toBeNull()
    })
    expect([count('acquire'), count('release')]).toEqual([1, 1])
    expect(await other.tryAcquire('a')).not.toBeNull()
  })

  it('goes on from an acquire by the same code, until its release', async () => {
    const { locks, count } = start()
    const outer = await locks.acquire('a', again)
    const inner = await locks.acquire('a', again)
    await inner.release()
    outer.assertHeld()
    expect(await outer.release()).toBe('released')
    await (await locks.acquire('a', again)).release()
    expect(count('acquire')).toBe(2)
  })

  it('is for the same lock and the same way of holding it, and for who asks for it', async () => {
    const { time, locks } = start()
    await locks.using('a', async () => {
      for (const outside of [locks.tryAcquire('a'), locks.read('a').tryAcquire({ reentrant: true })])
        expect(await outside).toBeNull()
      const waiting = locks.acquire('a', { waitMs: 100 })
      const refused = expect(waiting).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
      await time.advance(100)
      await refused
    })
  })

  it('ends with the release: work that was left behind is not inside any more', async () => {
    const { time, locks } = start()
    let left: Promise<unknown> = Promise.resolve()
    let go = () => {}
    const told = new Promise<void>((resolve) => {
      go = resolve
    })
    await locks.using('a', again, () => {
      left = told.then(() => locks.acquire('a', again))
    })
    const next = await locks.acquire('a')
    go()
    const refused = expect(left).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
    await time.advance(100)
    await refused
    await next.release()
  })

  it('is not for others who ask at the same time', async () => {
    const { time, locks } = start()
    const both = [locks.acquire('a', again), locks.acquire('a', again)]
    const ended = Promise.allSettled(both)
    await time.advance(100)
    expect((await ended).map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  })

  it('is for the work of using, and not for what its caller does meanwhile', async () => {
    const { time, locks } = start()
    const { open, opened } = gate()
    const steps: string[] = []
    const first = locks.using('a', again, async () => {
      steps.push('first in')
      await opened
      steps.push('first out')
    })
    await settled()
    const second = locks.using('a', again, async () => steps.push('second in'))
    await settled()
    open()
    await time.advance(10)
    await Promise.all([first, second])
    expect(steps).toEqual(['first in', 'first out', 'second in'])
  })

  it('gets each lease of a group, until the group is released', async () => {
    const { locks, other, count } = start()
    await locks.using('b', again, async (outer) => {
      const group = await locks.acquireAll(['c', 'b', 'a'], again)
      for (const key of ['a', 'b', 'c']) {
        const inner = await locks.acquire(key, again)
        expect([inner.key, inner.fence]).toEqual([key, group.fence(key)])
        await inner.release()
      }
      expect(await group.release()).toBe('released')
      outer.assertHeld()
      expect(await other.tryAcquire('b')).toBeNull()
      await (await locks.acquire('a', again)).release()
    })
    expect(count('acquire')).toBe(4)
    expect((await other.acquireAll(['a', 'b', 'c'], { waitMs: 0 })).leases).toHaveLength(3)
  })

  it('does not get a lease of a group that did not come about', async () => {
    const { time, locks, other } = start()
    await other.acquire('b')
    const group = expect(locks.acquireAll(['a', 'b'], again)).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
    await time.advance(1100)
    await group
    const held = await other.acquire('a')
    expect(await locks.tryAcquire('a', { reentrant: true })).toBeNull()
    held.assertHeld()
  })
})
