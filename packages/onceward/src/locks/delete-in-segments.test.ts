import { describe, expect, it } from 'vitest'
import { createLocks } from './create-locks.ts'
import { type DeleteProgress, type DeletionInSegments, deleteInSegments } from './delete-in-segments.ts'
import { memoryLocks } from './memory/memory-locks.ts'

const idsUpTo = (count: number): string[] => Array.from({ length: count }, (_, index) => `id-${index}`)

function warehouse(count: number) {
  const backend = memoryLocks()
  const there = new Set(idsUpTo(count))
  const removed: string[] = []
  const remove = async (ids: readonly string[]) => {
    let found = 0
    for (const id of ids) {
      if (!there.delete(id)) continue
      removed.push(id)
      found++
    }
    return found
  }
  const base = { locks: createLocks(backend), name: 'carts', segments: 8, batchSize: 100, remove }
  return { backend, there, removed, base }
}

describe('deleteInSegments', () => {
  it('deletes everything once, also when several do it at the same time', async () => {
    const { backend, there, removed, base } = warehouse(1000)
    const all = await Promise.all(
      [0, 1, 2].map(() => deleteInSegments({ ...base, locks: createLocks(backend), ids: idsUpTo(1000) })),
    )
    expect(there.size).toBe(0)
    expect(removed).toHaveLength(1000)
    expect(all.reduce((sum, { deleted }) => sum + deleted, 0)).toBe(1000)
    for (const { deleted, gone, busy, lost, finished } of all) {
      expect({ all: deleted + gone, busy, lost, finished }).toEqual({
        all: 1000,
        busy: 0,
        lost: 0,
        finished: true,
      })
    }
  })

  it('never works on one segment twice at a time, and on as many as it was told', async () => {
    const { base } = warehouse(1000)
    const working = new Set<string>()
    let most = 0
    await deleteInSegments({
      ...base,
      ids: idsUpTo(1000),
      concurrency: 3,
      async remove(ids, { key }) {
        expect(working.has(key)).toBe(false)
        most = Math.max(most, working.add(key).size)
        for (const id of ids) expect(base.locks.segmented('carts', { segments: 8 }).keyFor(id)).toBe(key)
        await new Promise(setImmediate)
        working.delete(key)
        return ids.length
      },
    })
    expect(most).toBe(3)
  })

  it('reads an endless source only as far as it has deleted', async () => {
    const { base } = warehouse(0)
    let read = 0
    const controller = new AbortController()
    async function* endless() {
      for (;;) yield `id-${read++}`
    }
    const progress = await deleteInSegments({
      ...base,
      ids: endless(),
      signal: controller.signal,
      onProgress: ({ position }) => position === 500 && controller.abort(),
    })
    expect(progress).toEqual({ deleted: 0, gone: 500, busy: 0, lost: 0, position: 500, finished: false })
    expect(read).toBe(500)
  })

  it('goes on where it was stopped, from progress that went through JSON', async () => {
    const { there, removed, base } = warehouse(1000)
    const told: string[] = []
    const failure = new Error('the database is gone')
    const first = deleteInSegments({
      ...base,
      ids: idsUpTo(1000),
      onProgress: (progress) => told.push(JSON.stringify(progress)),
      async remove(ids) {
        if (removed.length >= 450) throw failure
        return base.remove(ids)
      },
    })
    await expect(first).rejects.toBe(failure)
    const resume = JSON.parse(told.at(-1) ?? '') as DeleteProgress
    expect(resume).toMatchObject({ deleted: 400, position: 400, finished: false })
    const rest = await deleteInSegments({ ...base, ids: idsUpTo(1000), resume })
    expect(there.size).toBe(0)
    expect(new Set(removed).size).toBe(removed.length)
    expect(rest).toMatchObject({ finished: true, position: 1000 })
    expect(rest.deleted + rest.gone).toBe(1000)
    expect(await deleteInSegments({ ...base, ids: idsUpTo(1000), resume: rest })).toEqual(rest)
  })

  it('reads pages, and resumes at one', async () => {
    const { there, base } = warehouse(30)
    const asked: (string | undefined)[] = []
    const page: DeletionInSegments['page'] = (at) => {
      asked.push(at)
      const from = Number(at ?? 0)
      const ids = idsUpTo(30).slice(from, from + 10)
      return from + 10 < 30 ? { ids, next: String(from + 10) } : { ids }
    }
    const controller = new AbortController()
    const some = await deleteInSegments({
      ...base,
      page,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    })
    expect(some).toMatchObject({ deleted: 10, position: '10', finished: false })
    expect(await deleteInSegments({ ...base, page, resume: some })).toMatchObject({
      deleted: 30,
      finished: true,
    })
    expect(asked).toEqual([undefined, '10', '20'])
    expect(there.size).toBe(0)
  })

  it('leaves a segment that another holds for too long, and says which ids that are', async () => {
    const { backend, there, base } = warehouse(200)
    const key = base.locks.segmented('carts', { segments: 8 }).keyFor('id-7')
    const blocking = await createLocks(backend).acquire(key)
    const left: string[] = []
    const progress = await deleteInSegments({
      ...base,
      ids: idsUpTo(200),
      waitMs: 20,
      onLeft: (ids, why) => left.push(...ids.map((id) => `${why} ${id}`)),
    })
    expect(progress.finished).toBe(true)
    expect(progress.deleted + progress.busy).toBe(200)
    expect(left).toContain('busy id-7')
    expect(left).toHaveLength(there.size)
    await blocking.release()
  })

  it('counts as lost what was removed when the lock was no longer held', async () => {
    const { base } = warehouse(10)
    const progress = await deleteInSegments({
      ...base,
      segments: 1,
      ids: idsUpTo(10),
      async remove(ids, lease) {
        await base.locks.forceRelease(lease.key, { reason: 'a test' })
        await lease.extend().catch(() => {})
        return ids.length
      },
    })
    expect(progress).toMatchObject({ deleted: 0, lost: 10 })
  })

  it('has nothing to do where there are no ids', async () => {
    const { base } = warehouse(0)
    expect(await deleteInSegments({ ...base, ids: [] })).toMatchObject({ deleted: 0, finished: true })
    expect(await deleteInSegments({ ...base, page: () => ({ ids: [] }) })).toMatchObject({ finished: true })
  })

  it('refuses misuse with the mend', async () => {
    const { base } = warehouse(0)
    const call = (more: object) => deleteInSegments({ ...base, ...more } as DeletionInSegments)
    await expect(call({})).rejects.toThrow(/either ids, an iterable, or page/)
    await expect(call({ ids: [], page: () => ({ ids: [] }) })).rejects.toThrow(/either ids/)
    await expect(call({ ids: 'cart-1' })).rejects.toThrow(/ids must be a list/)
    await expect(call({ ids: [1] })).rejects.toThrow(/an id must be a text, not 1/)
    await expect(call({ ids: ['a'], remove: () => 2 })).rejects.toThrow(/the answer of remove/)
    await expect(call({ ids: [], remove: undefined })).rejects.toThrow(/needs the function remove/)
    await expect(call({ ids: [], resume: { position: 'x' } })).rejects.toThrow(/position is of pages/)
    await expect(call({ page: () => ({ ids: [] }), resume: { position: 5 } })).rejects.toThrow(
      /position is of ids/,
    )
    await expect(
      call({ page: () => ({ ids: [], next: 'same' }), resume: { position: 'same' } }),
    ).rejects.toThrow(/page must answer/)
    await expect(call({ ids: [], concurrency: 0 })).rejects.toThrow(/concurrency/)
  })
})
