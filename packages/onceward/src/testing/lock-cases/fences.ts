import assert from 'node:assert/strict'
import {
  type LockCase,
  unlessAll,
  unlessFences,
  unlessPlaces,
  unlessReserve,
  unlessShared,
} from '../lock-harness.ts'
import {
  asksFor,
  granted,
  type Held,
  heldBy,
  permitOf,
  refused,
  someKey,
  strictlyIncreasing,
  viewOf,
  waitsFor,
} from '../lock-kit.ts'

/** Fences only go up. */
export const fenceCases: readonly LockCase[] = [
  {
    name: 'fences strictly increase over release, lapse, forced release and change of hands (I5)',
    unless: unlessFences,
    async run({ a, b, unitMs, lapse }) {
      const key = someKey()
      const fences: (number | undefined)[] = []
      const first = await heldBy(a, key)
      fences.push(first.fence)
      await a.release(first)
      fences.push((await heldBy(b, key, { ttlMs: unitMs })).fence)
      await lapse()
      fences.push((await heldBy(a, key)).fence)
      await b.forceRelease({ key, by: 'ada', reason: 'it hangs' })
      const fourth = await heldBy(b, key)
      fences.push(fourth.fence)
      const to = asksFor(key)
      const moved = await a.transfer(fourth, to)
      assert.equal(moved?.fence, fourth.fence, 'the fence changes hands with the grant')
      await a.release(to)
      fences.push((await heldBy(a, key)).fence)
      strictlyIncreasing(fences)
    },
  },
  {
    name: 'fences strictly increase however quickly a lock changes hands',
    unless: unlessFences,
    async run({ a, b }) {
      const key = someKey()
      const fences: (number | undefined)[] = []
      for (let round = 0; round < 40; round++) {
        const held = await heldBy(round % 2 ? a : b, key)
        fences.push(held.fence)
        await b.release(held)
      }
      strictlyIncreasing(fences)
    },
  },
  {
    name: 'fences strictly increase when an idle lock was forgotten',
    unless: unlessFences,
    async run({ a, b, unitMs, lapse, fencesOf }) {
      const key = someKey()
      const fences: (number | undefined)[] = []
      for (let round = 0; round < 3; round++) {
        const held = await heldBy(a, key, { ttlMs: unitMs, fences: fencesOf(30) })
        fences.push(held.fence)
        if (fencesOf(30) > 1) fences.push((held.fence ?? 0) + fencesOf(30) - 1)
        if (round !== 1) await a.release(held)
        await lapse()
        fences.push((await heldBy(b, key, { ttlMs: unitMs })).fence)
        await lapse()
      }
      strictlyIncreasing(fences)
    },
  },
  {
    name: 'a grant that asked for many fences has them all to itself',
    unless: unlessReserve,
    async run({ a, b, unitMs, lapse, fencesOf }) {
      const key = someKey()
      const fences: number[] = []
      const ends: readonly ((held: Held) => Promise<unknown>)[] = [
        (held) => a.release(held),
        async (held) => {
          assert.deepEqual(await b.extend([{ ...held, ttlMs: unitMs }]), [true])
          await lapse()
        },
        () => b.forceRelease({ key, by: 'ada', reason: 'it hangs' }),
        (held) => b.release(held),
      ]
      for (const end of ends) {
        for (const count of [fencesOf(33), 1]) {
          const held = await heldBy(a, key, { fences: count })
          assert.ok(held.fence !== undefined)
          fences.push(held.fence)
          const again = await granted(b, held, 'the holder asks again')
          assert.equal(again.fence, held.fence, 'asked again it uses up no more')
          if (count > 1) fences.push(held.fence + count - 1)
          await end(held)
        }
      }
      strictlyIncreasing(fences)
    },
  },
  {
    name: 'a waiter is granted the fences it asked for',
    unless: unlessAll(unlessReserve, unlessPlaces),
    async run({ a, b, fencesOf }) {
      const held = await heldBy(a, someKey())
      const waiting = waitsFor(held.key, { fences: fencesOf(33) })
      await refused(b, waiting, 'another holds the lock')
      await a.release(held)
      const { fence } = await granted(b, waiting, 'it is its turn')
      await b.release(waiting)
      const after = await heldBy(a, held.key)
      strictlyIncreasing([held.fence, fence, (fence ?? 0) + fencesOf(33) - 1, after.fence])
    },
  },
  {
    name: 'those who hold a lock together have fences of their own',
    unless: unlessAll(unlessFences, unlessShared),
    async run({ a, b }) {
      const key = someKey()
      const fences: (number | undefined)[] = []
      for (const backend of [a, b, a]) {
        const permit = permitOf(key, 3)
        fences.push((await granted(backend, permit)).fence)
        assert.equal((await granted(b, permit)).fence, fences.at(-1), 'asked again it is the same')
      }
      strictlyIncreasing(fences)
      const shown = (await viewOf(a, key)).holders.map(({ fence }) => fence)
      assert.deepEqual(shown.sort(), fences, 'people see the fence of each')
    },
  },
  {
    name: 'a refused request uses up no fence',
    unless: unlessFences,
    async run({ a, b }) {
      const held = await heldBy(a, someKey())
      for (let attempt = 0; attempt < 5; attempt++) await refused(b, asksFor(held.key), 'another holds it')
      assert.equal((await viewOf(b, held.key)).fence, held.fence, 'the greatest fence is the holder’s')
    },
  },
]
