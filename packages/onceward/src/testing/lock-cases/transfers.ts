import assert from 'node:assert/strict'
import { type LockCase, unlessPlaces, unlessReserve, unlessShared } from '../lock-harness.ts'
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

/** A grant that changes hands. */
export const transferCases: readonly LockCase[] = [
  {
    name: 'a transferred lock belongs to the new token alone, with its fence and mode',
    async run({ a, b }) {
      const held = await heldBy(a, someKey())
      const to = asksFor(held.key)
      const moved = await b.transfer(held, to)
      assert.equal(moved?.mode, 'exclusive')
      assert.equal(moved?.fence, held.fence, 'the fence stays')
      await holdsNothing(a, held, 'the old token has nothing any more')
      await stillHolds(b, to, 'the new token holds the lock')
      await refused(a, asksFor(held.key), 'it was held all the time')
      assert.equal(await holdersOf(a, held.key), 1, 'by one')
      assert.equal((await a.release(to)).released, true)
      await heldBy(b, held.key, {}, 'and then it is free')
    },
  },
  {
    name: 'a transfer asked again answers the same',
    async run({ a, b }) {
      const held = await heldBy(a, someKey())
      const to = asksFor(held.key)
      const first = await a.transfer(held, to)
      assert.ok(first, 'the holder may hand over')
      for (const backend of [a, b]) assert.deepEqual(await backend.transfer(held, to), first)
      await stillHolds(b, to, 'it holds the lock')
      assert.equal(await holdersOf(a, held.key), 1, 'once')
    },
  },
  {
    name: 'of two transfers to different tokens one takes effect',
    async run({ a, b }) {
      const held = await heldBy(a, someKey())
      const tokens = [asksFor(held.key), asksFor(held.key)] as const
      const moved = await Promise.all([a.transfer(held, tokens[0]), b.transfer(held, tokens[1])])
      assert.equal(moved.filter(Boolean).length, 1, 'a token is given away once')
      assert.equal(await holdersOf(a, held.key), 1)
      const [winner, loser] = moved[0] ? tokens : [tokens[1], tokens[0]]
      await stillHolds(a, winner, 'who was answered holds it')
      await holdsNothing(b, loser, 'the other one does not')
    },
  },
  {
    name: 'a transferred lock has a time of its own',
    async run({ a, b, unitMs, longMs, lapse, inTime }) {
      const long = await inTime(async () => {
        const brief = await heldBy(a, someKey(), { ttlMs: unitMs })
        const to = asksFor(brief.key, { ttlMs: longMs })
        assert.ok(await b.transfer(brief, to))
        return to
      })
      const lasting = await heldBy(a, someKey())
      assert.ok(await b.transfer(lasting, asksFor(lasting.key, { ttlMs: unitMs })))
      await lapse()
      await refused(a, asksFor(long.key), 'the new time is long')
      await stillHolds(b, long, 'the new time is long')
      await heldBy(a, lasting.key, {}, 'the new time was short')
    },
  },
  {
    name: 'people see the new holder, and nothing of what the old one said',
    async run({ a, b }) {
      const held = await heldBy(a, someKey(), { owner: 'worker 1', meta: 'batch 1' })
      const to = { token: asksFor(held.key).token, ttlMs: 60_000, owner: 'worker 2' }
      await a.transfer(held, { ...to, meta: 'batch 2' })
      const first = (await viewOf(b, held.key)).holders[0]
      assert.deepEqual([first?.owner, first?.meta], ['worker 2', 'batch 2'])
      const next = { ...to, token: asksFor(held.key).token, owner: 'worker 3' }
      await b.transfer({ key: held.key, token: to.token }, next)
      const second = (await viewOf(a, held.key)).holders[0]
      assert.deepEqual([second?.owner, second?.meta], ['worker 3', undefined])
    },
  },
  {
    name: 'whoever does not hold the lock cannot hand it over',
    async run({ a, b, unitMs, lapse, inTime }) {
      const held = await heldBy(a, someKey())
      const stranger = asksFor(held.key)
      assert.equal(await b.transfer(stranger, asksFor(held.key)), undefined, 'a stranger')
      await stillHolds(a, held, 'the holder is not disturbed')
      await a.release(held)
      assert.equal(await b.transfer(held, asksFor(held.key)), undefined, 'who has released it')
      const brief = await inTime(() => heldBy(a, someKey(), { ttlMs: unitMs }))
      await lapse()
      assert.equal(await b.transfer(brief, asksFor(brief.key)), undefined, 'who has lapsed')
      assert.equal(await b.transfer(asksFor(someKey()), asksFor(held.key)), undefined, 'who never had it')
      for (const { key } of [held, brief]) assert.equal(await holdersOf(a, key), 0, 'nobody holds it')
    },
  },
  {
    name: 'a place in the line cannot be handed over as if it were the lock',
    unless: unlessPlaces,
    async run({ a, b }) {
      const held = await heldBy(a, someKey())
      const waiting = waitsFor(held.key)
      await refused(b, waiting, 'another holds the lock')
      assert.equal(await b.transfer(waiting, asksFor(held.key)), undefined)
      await a.release(held)
      await granted(b, waiting, 'the place is still there')
    },
  },
  {
    name: 'one of those who hold together hands over its own part',
    unless: unlessShared,
    async run({ a, b }) {
      const key = someKey()
      const reader = { mode: 'shared', permits: Number.POSITIVE_INFINITY } as const
      const first = await heldBy(a, key, reader)
      const second = await heldBy(b, key, reader)
      const to = asksFor(key)
      const moved = await a.transfer(first, to)
      assert.equal(moved?.mode, 'shared')
      assert.equal(moved?.fence, first.fence)
      await holdsNothing(a, first, 'it was handed over')
      await stillHolds(b, second, 'the other one is not disturbed')
      await refused(b, asksFor(key), 'two still read')
      await a.release(to)
      await b.release(second)
      await heldBy(a, key, {}, 'nobody reads any more')
    },
  },
  {
    name: 'a transferred grant keeps the fences it had asked for',
    unless: unlessReserve,
    async run({ a, b, fencesOf }) {
      const held = await heldBy(a, someKey(), { fences: fencesOf(33) })
      const to = asksFor(held.key)
      await a.transfer(held, to)
      await b.release(to)
      const next = await heldBy(b, held.key)
      assert.ok(
        (next.fence ?? 0) > (held.fence ?? 0) + fencesOf(33) - 1,
        'the next grant’s fence is beyond all of them',
      )
    },
  },
]
