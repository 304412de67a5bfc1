import assert from 'node:assert/strict'
import type { AcquireReply, AcquireRequest, LockBackend } from '../../locks/lock-backend.ts'
import { type LockCase, unlessPlaces } from '../lock-harness.ts'
import {
  aMoment,
  asksFor,
  granted,
  type Held,
  heldBy,
  holdersOf,
  refused,
  someKey,
  stillHolds,
  strictlyIncreasing,
  viewOf,
  waitingFor,
  waitsFor,
} from '../lock-kit.ts'

/** Giving a lock or a place back. */
export const releaseCases: readonly LockCase[] = [
  {
    name: 'a released lock is free at once for every connection',
    async run({ a, b }) {
      const held = await heldBy(a, someKey())
      assert.deepEqual((await a.release(held)).released, true, 'the holder had the lock')
      assert.equal(await holdersOf(b, held.key), 0, 'nobody holds it')
      const next = await heldBy(b, held.key, {}, 'a released lock is free')
      assert.equal((await a.release(next)).released, true, 'any connection may bring the token')
    },
  },
  {
    name: 'a second release changes nothing and says so',
    async run({ a, b }) {
      const held = await heldBy(a, someKey())
      await a.release(held)
      assert.equal((await a.release(held)).released, false, 'there is nothing left to release')
      assert.equal((await b.release(held)).released, false)
      const both = await heldBy(a, held.key)
      const replies = await Promise.all([a.release(both), b.release(both)])
      assert.equal(replies.filter(({ released }) => released).length, 1, 'of two releases one takes effect')
    },
  },
  {
    name: 'a release never touches what another token holds',
    async run({ a, b }) {
      const first = await heldBy(a, someKey())
      await a.release(first)
      const second = await heldBy(b, first.key)
      assert.equal((await a.release(first)).released, false, 'the late release of an earlier holder')
      assert.equal((await a.release(asksFor(first.key))).released, false, 'the release of a stranger')
      await stillHolds(b, second, 'the lock is still held')
      await refused(a, asksFor(first.key), 'the lock is still held')
    },
  },
  {
    name: 'a lapsed holder has nothing to release, before and after another took the lock',
    async run({ a, b, unitMs, lapse, inTime }) {
      const first = await inTime(() => heldBy(a, someKey(), { ttlMs: unitMs }))
      await lapse()
      assert.equal((await a.release(first)).released, false, 'it has lapsed')
      const second = await heldBy(b, first.key)
      assert.equal((await a.release(first)).released, false, 'it is another’s now')
      await stillHolds(b, second, 'the new holder is not disturbed')
    },
  },
  {
    name: 'releasing a key that nobody knows is harmless',
    async run({ a }) {
      const stranger = asksFor(someKey())
      assert.equal((await a.release(stranger)).released, false)
      assert.equal(await holdersOf(a, stranger.key), 0)
    },
  },
  {
    name: 'whoever waits gives its place up by a release',
    unless: unlessPlaces,
    async run({ a, b }) {
      const held = await heldBy(a, someKey())
      const first = waitsFor(held.key)
      const second = waitsFor(held.key)
      await refused(b, first, 'another holds the lock')
      await refused(a, second, 'another holds the lock')
      assert.equal((await b.release(first)).released, false, 'a place is no grant')
      assert.equal(await waitingFor(a, held.key), 1, 'its place is gone')
      await stillHolds(a, held, 'the holder is not disturbed')
      await a.release(held)
      await granted(a, second, 'who came later is first now')
    },
  },
  {
    name: 'release with a next request grants it a greater fence when nobody waits',
    async run({ a, b, capabilities, fencesOf }) {
      const held = await heldBy(a, someKey(), { fences: fencesOf(3) })
      const next = waitsFor(held.key)
      const reply = await releaseAndAsk(a, held, next)
      assert.ok(reply.granted, 'nothing stands in the way of the next request')
      if (capabilities.fencing) strictlyIncreasing([(held.fence ?? 0) + fencesOf(3) - 1, reply.fence])
      await stillHolds(b, next, 'the next one holds the lock')
      assert.equal((await a.release(held)).released, false, 'the first one does not')
    },
  },
  {
    name: 'release with a next request puts it behind whoever waits',
    unless: unlessPlaces,
    async run({ a, b }) {
      const held = await heldBy(a, someKey())
      const waiting = waitsFor(held.key)
      await refused(b, waiting, 'another holds the lock')
      const next = waitsFor(held.key)
      const reply = await releaseAndAsk(a, held, next)
      assert.equal(reply.granted, false, 'somebody waited before')
      const second = await heldBy(b, held.key, { ...waiting }, 'who waited is granted')
      await refused(a, next, 'now it is held')
      await b.release(second)
      await granted(a, next, 'and the next one had kept its place')
    },
  },
  {
    name: 'release with a next request, asked again, answers the same and releases nothing more',
    async run({ a, b }) {
      const held = await heldBy(a, someKey())
      const next = waitsFor(held.key)
      const first = await releaseAndAsk(a, held, next)
      const again = await b.release(held, next)
      assert.equal(again.released, false, 'it had been released')
      if (again.next) assert.deepEqual(again.next, first, 'the same request has the same answer')
      await stillHolds(a, next, 'the next one holds the lock')
      const stranger = await a.release(asksFor(held.key), asksFor(held.key))
      assert.equal(stranger.released, false, 'a stranger releases nothing')
      assert.notEqual(stranger.next?.granted, true, 'and gets nothing')
    },
  },
  {
    name: 'of many who release and ask again nobody is lost, and everybody works alone',
    unless: unlessPlaces,
    async run({ backends, a, b, capabilities }) {
      const key = someKey()
      const fences: (number | undefined)[] = []
      let inside = 0
      const work = async (backend: LockBackend) => {
        let mine = waitsFor(key)
        let reply = await backend.acquire(mine)
        for (let round = 0; round < 6; round++) {
          while (!reply.granted) {
            await aMoment()
            reply = await backend.acquire(mine)
          }
          inside += 1
          assert.equal(inside, 1, 'nobody else is inside')
          fences.push(reply.fence)
          await new Promise(setImmediate)
          inside -= 1
          const next = waitsFor(key)
          if (round < 5) reply = await releaseAndAsk(backend, mine, next)
          else assert.equal((await backend.release(mine)).released, true)
          mine = next
        }
      }
      await Promise.all([...backends, ...backends].map(work))
      assert.equal(await holdersOf(b, key), 0, 'everybody has gone')
      assert.equal(await waitingFor(a, key), 0, 'nobody was forgotten')
      if (capabilities.fencing) strictlyIncreasing(fences)
    },
  },
  {
    name: 'a view of a released lock names no holder',
    async run({ a, b }) {
      const held = await heldBy(a, someKey())
      assert.equal((await viewOf(b, held.key)).holders.length, 1)
      await a.release(held)
      assert.deepEqual((await b.inspect(held.key))?.holders ?? [], [])
    },
  },
]

/** Releases and asks in one step, or in two where the backend leaves the second to us. */
async function releaseAndAsk(
  backend: LockBackend,
  held: Pick<Held, 'key' | 'token'>,
  next: AcquireRequest,
): Promise<AcquireReply> {
  const reply = await backend.release(held, next)
  assert.equal(reply.released, true, 'the holder had the lock')
  return reply.next ?? backend.acquire(next)
}
