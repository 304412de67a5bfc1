import { describe, expect, it } from 'vitest'
import { manualTime } from '../testing/manual-time.ts'
import { createLocks } from './create-locks.ts'
import { memoryLocks } from './memory/index.ts'

function start() {
  const time = manualTime()
  const backend = memoryLocks({ clock: time })
  return { time, backend, locks: createLocks(backend, { clock: time, timers: time }) }
}

describe('a lock', () => {
  it('is given to one at a time, in the order of asking', async () => {
    const { time, locks } = start()
    const order: number[] = []
    const runs = [0, 1, 2, 3].map((n) =>
      locks.using('a', async (lease) => {
        order.push(n)
        await Promise.resolve()
        expect(lease.remainingMs()).toBeGreaterThan(0)
        return lease.fence
      }),
    )
    const fences = await Promise.all(runs)
    expect(order).toEqual([0, 1, 2, 3])
    expect([...fences].sort((a, b) => a - b)).toEqual(fences)
    expect(new Set(fences).size).toBe(4)
    expect(time.pending).toBe(0)
    expect((await locks.inspect('a'))?.holders ?? []).toEqual([])
  })

  it('goes to another process after 32 times in a row', async () => {
    const { time, backend, locks } = start()
    const other = createLocks(backend, { clock: time, timers: time })
    const order: string[] = []
    const first = await locks.acquire('a')
    const far = other.using('a', () => order.push('far'))
    await time.advance(10)
    const near = Array.from({ length: 40 }, (_, n) => locks.using('a', () => order.push(`near ${n}`)))
    await first.release()
    await time.advance(10)
    await Promise.all([far, ...near])
    expect(order.indexOf('far')).toBe(32)
    expect(order).toHaveLength(41)
    expect(time.pending).toBe(0)
  })
})
