import { describe, expect, it } from 'vitest'
import { manualTime } from '../testing/manual-time.ts'
import { createLocks } from './create-locks.ts'
import type { LockMethods } from './lock-types.ts'
import { memoryLocks } from './memory/memory-locks.ts'
import { safeDelete } from './safe-delete.ts'

function shop() {
  const time = manualTime()
  const backend = memoryLocks({ clock: time })
  const there = new Set(['a', 'b'])
  const instance = () => createLocks(backend, { clock: time, timers: time })
  return { time, backend, there, instance }
}

describe('safeDelete', () => {
  it('deletes what is there, once, and gives the lock back', async () => {
    const { there, instance, time } = shop()
    const locks = instance()
    const deletion = { exists: () => there.has('a'), remove: () => there.delete('a') }
    expect(await safeDelete(locks.write('a'), deletion)).toBe('deleted')
    expect(await safeDelete(locks.write('a'), deletion)).toBe('gone')
    expect([...there]).toEqual(['b'])
    expect((await locks.inspect('a'))?.holders ?? []).toEqual([])
    await locks.close()
    expect(time.pending).toBe(0)
  })

  it('does nothing while somebody else holds the lock, and does not wait', async () => {
    const { there, instance } = shop()
    const [locks, other] = [instance(), instance()]
    const lease = await other.acquire('a')
    const deletion = { exists: () => there.has('a'), remove: () => there.delete('a') }
    expect(await safeDelete(locks.write('a'), deletion)).toBe('busy')
    expect(there.has('a')).toBe(true)
    await lease.release()
  })

  it('looks whether it is there only under the lock', async () => {
    const { there, instance } = shop()
    const locks = instance()
    const held: unknown[] = []
    await safeDelete(locks.write('a'), {
      async exists() {
        held.push(await instance().tryAcquire('a'))
        return there.has('a')
      },
      async remove() {
        held.push(await instance().tryAcquire('a'))
        there.delete('a')
      },
    })
    expect(held).toEqual([null, null])
  })

  it('removes nothing when the lock was lost while it looked', async () => {
    const { time, there, instance } = shop()
    const outcome = await safeDelete(instance().write('a'), {
      ttlMs: 1000,
      exists() {
        time.jump(1001)
        return true
      },
      remove: () => there.delete('a'),
    })
    expect(outcome).toBe('lost')
    expect(there.has('a')).toBe(true)
  })

  it('tells that the lock was lost before the removal had ended', async () => {
    const { time, there, instance } = shop()
    const outcome = await safeDelete(instance().write('a'), {
      ttlMs: 1000,
      exists: () => true,
      remove() {
        there.delete('a')
        time.jump(1001)
      },
    })
    expect(outcome).toBe('lost')
  })

  it('hands the fence over, and believes a resource that refuses it or finds nothing', async () => {
    const { instance } = shop()
    const locks = instance()
    const fences: number[] = []
    for (const answer of ['stale', false, 0, 0n, true, undefined]) {
      fences.push(Number.NaN)
      const outcome = await safeDelete(locks.write('a'), {
        exists: () => true,
        remove({ fence }) {
          fences[fences.length - 1] = fence
          return answer
        },
      })
      expect(outcome).toBe(
        answer === 'stale' ? 'lost' : [false, 0, 0n].includes(answer as never) ? 'gone' : 'deleted',
      )
    }
    expect(fences).toEqual(fences.toSorted((a, b) => a - b))
    expect(new Set(fences).size).toBe(6)
  })

  it('passes on what exists and remove throw, with the lock given back', async () => {
    const { instance } = shop()
    const locks = instance()
    const failure = new Error('disk full')
    const fail = async () => {
      throw failure
    }
    await expect(safeDelete(locks.write('a'), { exists: fail, remove: () => {} })).rejects.toBe(failure)
    await expect(safeDelete(locks.write('a'), { exists: () => true, remove: fail })).rejects.toBe(failure)
    expect((await locks.inspect('a'))?.holders ?? []).toEqual([])
  })

  it('passes the failure of the lock on, and has not looked', async () => {
    const failure = new Error('no connection')
    const broken: Pick<LockMethods, 'tryAcquire'> = {
      async tryAcquire() {
        throw failure
      },
    }
    let looked = false
    const deletion = {
      exists() {
        looked = true
        return true
      },
      remove: () => {},
    }
    await expect(safeDelete(broken, deletion)).rejects.toBe(failure)
    expect(looked).toBe(false)
  })

  it('lets one of fifty delete', async () => {
    const { there, instance } = shop()
    let removed = 0
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, () =>
        safeDelete(instance().write('a'), {
          exists: () => there.has('a'),
          async remove() {
            removed++
            there.delete('a')
          },
        }),
      ),
    )
    expect(removed).toBe(1)
    expect(outcomes.filter((outcome) => outcome === 'deleted')).toHaveLength(1)
    expect(outcomes.every((outcome) => ['deleted', 'gone', 'busy'].includes(outcome))).toBe(true)
  })

  it('refuses misuse with the mend', async () => {
    const { instance } = shop()
    const lock = instance().write('a')
    // @ts-expect-error The check is missing.
    await expect(safeDelete(lock, { remove: () => {} })).rejects.toThrow(/functions exists and remove/)
    const unknown = { exists: () => true, remove: () => {}, wait: 5 }
    await expect(safeDelete(lock, unknown)).rejects.toThrow(/unknown field "wait"/)
  })
})
