import assert from 'node:assert/strict'
import { systemClock } from '../../core/system.ts'
import { type LockCase, unlessFences, unlessPlaces, unlessReserve } from '../lock-harness.ts'
import {
  asksFor,
  granted,
  heldBy,
  holdersOf,
  holdsNothing,
  refused,
  someKey,
  stillHolds,
  viewOf,
  waitsFor,
} from '../lock-kit.ts'

/** Taking a lock from its holder. */
export const forcedCases: readonly LockCase[] = [
  {
    name: 'a forced release takes the lock from its holder, who has nothing any more',
    async run({ a, b }) {
      const held = await heldBy(a, someKey())
      assert.equal(await b.forceRelease({ key: held.key, by: 'ada', reason: 'it hangs' }), 1)
      assert.equal(await holdersOf(a, held.key), 0)
      await holdsNothing(a, held, 'it was taken away')
      const next = await heldBy(b, held.key, {}, 'the lock is free')
      await holdsNothing(a, held, 'it is another’s now')
      await stillHolds(b, next, 'the new holder is not disturbed')
    },
  },
  {
    name: 'a forced release of what nobody holds does nothing and is not remembered',
    async run({ a, b, unitMs, lapse, inTime }) {
      const { key } = await inTime(async () => {
        const key = someKey()
        assert.equal(await a.forceRelease({ key, by: 'ada', reason: 'it hangs' }), 0)
        return heldBy(b, key, { ttlMs: unitMs })
      })
      await lapse()
      assert.equal(await a.forceRelease({ key, by: 'ada', reason: 'it hangs' }), 0, 'it has lapsed')
      assert.deepEqual((await b.inspect(key))?.forced ?? [], [])
    },
  },
  {
    name: 'a forced release with a fence hits only the grant that has this fence',
    unless: unlessFences,
    async run({ a, b }) {
      const first = await heldBy(a, someKey())
      await a.release(first)
      const second = await heldBy(a, first.key)
      const force = (ifFence: number) =>
        b.forceRelease({ key: first.key, ifFence, by: 'ada', reason: 'it hangs' })
      assert.ok(first.fence !== undefined && second.fence !== undefined)
      for (const wrong of [first.fence, second.fence - 1, second.fence + 1]) {
        assert.equal(await force(wrong), 0, 'it is another grant that holds the lock')
      }
      await stillHolds(a, second, 'the holder is not disturbed')
      assert.deepEqual((await viewOf(b, first.key)).forced, [], 'nothing happened, nothing is remembered')
      assert.equal(await force(second.fence), 1)
      await holdsNothing(a, second, 'it was taken away')
      assert.equal(await force(second.fence), 0, 'once')
    },
  },
  {
    name: 'every fence of a grant names it, and none beyond',
    unless: unlessReserve,
    async run({ a, b, fencesOf }) {
      const key = someKey()
      const count = fencesOf(33)
      const tries = [
        [-1, 0],
        [count, 0],
        [0, 1],
        [count >> 1, 1],
        [count - 1, 1],
      ] as const
      for (const [offset, hits] of tries) {
        const held = await heldBy(a, key, { fences: count })
        const request = { key, ifFence: (held.fence ?? 0) + offset, by: 'ada', reason: 'it hangs' }
        assert.equal(await b.forceRelease(request), hits, `the fence of the grant plus ${offset}`)
        await a.release(held)
      }
    },
  },
  {
    name: 'people see who forced a release, when and why, also after the next grant',
    async run({ a, b, capabilities, exactTime }) {
      const held = await heldBy(a, someKey())
      const before = systemClock.now()
      await b.forceRelease({ key: held.key, by: 'ada “root” l’admin', reason: 'it hangs; see {42} \\ "x"' })
      const check = async () => {
        const [entry, ...more] = (await viewOf(a, held.key)).forced
        assert.deepEqual(more, [], 'one release, one entry')
        assert.equal(entry?.by, 'ada “root” l’admin')
        assert.equal(entry?.reason, 'it hangs; see {42} \\ "x"')
        if (capabilities.fencing) assert.equal(entry?.fence, held.fence, 'the fence of who lost it')
        assert.ok(Number.isFinite(entry?.at), 'when it happened')
        return entry?.at ?? 0
      }
      const at = await check()
      await a.release(await heldBy(b, held.key))
      assert.equal(await check(), at, 'the entry stays as it is')
      // Servers of tests run on this machine; memory may run on any time.
      if (!exactTime) assert.ok(Math.abs(at - before) < DAY_MS, 'the time is in ms since the epoch')
    },
  },
  {
    name: 'of many forced releases the latest ten are remembered, the latest last',
    async run({ a, b }) {
      const key = someKey()
      for (let round = 1; round <= 12; round++) {
        await heldBy(a, key)
        assert.equal(await b.forceRelease({ key, by: 'ada', reason: `round ${round}` }), 1)
      }
      const { forced } = await viewOf(a, key)
      assert.deepEqual(
        forced.map(({ reason }) => reason),
        Array.from({ length: 10 }, (_, index) => `round ${index + 3}`),
      )
      const times = forced.map(({ at }) => at)
      assert.deepEqual(
        times,
        [...times].sort((left, right) => left - right),
        'in order of time',
      )
    },
  },
  {
    name: 'a forced release leaves the line as it is',
    unless: unlessPlaces,
    async run({ a, b }) {
      const held = await heldBy(a, someKey())
      const first = waitsFor(held.key)
      const second = waitsFor(held.key)
      await refused(a, first, 'another holds the lock')
      await refused(b, second, 'another holds the lock')
      assert.equal(await b.forceRelease({ key: held.key, by: 'ada', reason: 'it hangs' }), 1, 'one held it')
      await refused(b, second, 'somebody waited before')
      await refused(b, asksFor(held.key), 'two wait')
      await granted(a, first, 'who waited first')
    },
  },
]

const DAY_MS = 86_400_000
