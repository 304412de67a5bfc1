import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type FenceableResource, fenced } from './fenced.ts'

interface Stored {
  readonly fence: number
  readonly version: number
  readonly value: string
}

/** A bucket: each step takes its time, and a write goes through only on the version that was read. */
function bucket() {
  const stored = new Map<string, Stored>()
  const accepted: number[] = []
  const resource: FenceableResource<string, number> = {
    async read(id) {
      await new Promise(setImmediate)
      return stored.get(id)
    },
    async putIf(id, value, { fence, version }) {
      await new Promise(setImmediate)
      if (stored.get(id)?.version !== version) return false
      stored.set(id, { fence, version: (version ?? 0) + 1, value })
      accepted.push(fence)
      return true
    },
  }
  return { stored, accepted, resource }
}

it('refuses a smaller fence, and accepts the same one again', async () => {
  const { stored, resource } = bucket()
  const { write } = fenced(resource)
  expect(await write('a', 'first', 7)).toBe('written')
  expect(await write('a', 'late', 6)).toBe('stale')
  expect(await write('a', 'again', 7)).toBe('written')
  expect(await write('b', 'other', 1)).toBe('written')
  expect([...stored].map(([id, { value }]) => `${id} ${value}`)).toEqual(['a again', 'b other'])
})

it('never accepts a smaller fence after a greater one, in whatever order writers come', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 20 }),
      async (fences) => {
        const { accepted, resource, stored } = bucket()
        const { write } = fenced(resource, { attempts: 100 })
        await Promise.all(fences.map((fence) => write('a', `by ${fence}`, fence)))
        expect(accepted).toEqual(accepted.toSorted((a, b) => a - b))
        expect(stored.get('a')?.value).toBe(`by ${Math.max(...fences)}`)
      },
    ),
    { numRuns: 50 },
  )
})

it('gives up on a thing that never stands still, and says that nothing was written', async () => {
  const { resource } = bucket()
  const { write } = fenced({ ...resource, putIf: () => false }, { attempts: 3 })
  await expect(write('a', 'x', 1)).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    effect: 'none',
    retryable: true,
  })
})

it('refuses a lease without a fence, and a resource without a condition', async () => {
  const { resource } = bucket()
  // @ts-expect-error A lease of Redlock has no fence.
  await expect(fenced(resource).write('a', 'x', undefined)).rejects.toThrow(/backend with fencing/)
  // @ts-expect-error It can only be read.
  expect(() => fenced({ read: resource.read })).toThrow(/methods read and putIf/)
})
