import assert from 'node:assert/strict'
import { type LockCase, unlessAll, unlessPlaces, unlessShared } from '../lock-harness.ts'
import {
  asksFor,
  granted,
  heldBy,
  holdersOf,
  holdsNothing,
  permitOf,
  reads,
  refused,
  someKey,
  stillHolds,
  waitingFor,
  waitsFor,
} from '../lock-kit.ts'

const READER = { mode: 'shared', permits: Number.POSITIVE_INFINITY } as const

/** Readers, writers and permits. */
export const sharedCases: readonly LockCase[] = [
  {
    name: 'readers hold a lock together, and a writer waits for the last of them',
    unless: unlessShared,
    async run({ a, b }) {
      const key = someKey()
      const readers = Array.from({ length: 5 }, () => reads(key))
      for (const [index, reader] of readers.entries()) {
        await granted(index % 2 ? a : b, reader, 'readers do not exclude each other')
      }
      assert.equal(await holdersOf(a, key), 5)
      for (const reader of readers) {
        await refused(b, asksFor(key), 'somebody reads')
        assert.equal((await a.release(reader)).released, true)
      }
      await heldBy(b, key, {}, 'nobody reads any more')
    },
  },
  {
    name: 'a writer keeps readers out',
    unless: unlessShared,
    async run({ a, b }) {
      const writer = await heldBy(a, someKey())
      for (const backend of [a, b]) await refused(backend, reads(writer.key), 'somebody writes')
      await a.release(writer)
      await granted(b, reads(writer.key), 'nobody writes any more')
    },
  },
  {
    name: 'of 20 concurrent requests for three permits three are granted',
    unless: unlessShared,
    async run({ a, backends }) {
      const key = someKey()
      const replies = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (backends[index % backends.length] ?? a).acquire(permitOf(key, 3)),
        ),
      )
      assert.equal(replies.filter((reply) => reply.granted).length, 3, 'there are three permits')
      assert.equal(await holdersOf(a, key), 3)
    },
  },
  {
    name: 'a permit is free again when its holder releases it, lapses, or is forced to',
    unless: unlessShared,
    async run({ a, b, unitMs, lapse }) {
      const key = someKey()
      const lasting = await heldBy(a, key, { mode: 'shared', permits: 2 })
      const second = await heldBy(b, key, { mode: 'shared', permits: 2 })
      await refused(a, permitOf(key, 2), 'both permits are taken')
      await b.release(second)
      await heldBy(a, key, { mode: 'shared', permits: 2, ttlMs: unitMs }, 'one was released')
      await lapse()
      const third = await heldBy(b, key, { mode: 'shared', permits: 2 }, 'one has lapsed')
      await refused(a, permitOf(key, 2), 'both permits are taken')
      if (third.fence !== undefined) {
        const request = { key, ifFence: third.fence, by: 'ada', reason: 'it hangs' }
        assert.equal(await a.forceRelease(request), 1, 'one of the two loses it')
        await heldBy(b, key, { mode: 'shared', permits: 2 }, 'one was forced')
        await holdsNothing(b, third, 'its permit is another’s')
      }
      await stillHolds(a, lasting, 'the other one is not disturbed')
    },
  },
  {
    name: 'each of those who hold together extends and loses its own time',
    unless: unlessShared,
    async run({ a, b, unitMs, longMs, lapse, inTime }) {
      const { key, first, second, third } = await inTime(async () => {
        const key = someKey()
        const third = await heldBy(a, key, READER)
        const first = await heldBy(a, key, { ...READER, ttlMs: unitMs })
        const second = await heldBy(b, key, { ...READER, ttlMs: unitMs })
        assert.deepEqual(await a.extend([{ key, token: second.token, ttlMs: longMs }]), [true])
        return { key, first, second, third }
      })
      await lapse()
      await holdsNothing(a, first, 'it has lapsed')
      assert.equal(await holdersOf(b, key), 2, 'the others have not')
      const mixed = [first, second, third].map(({ token }) => ({ key, token, ttlMs: longMs }))
      assert.deepEqual(await b.extend(mixed), [false, true, true], 'each has its own answer')
      await refused(a, asksFor(key), 'somebody still reads')
    },
  },
  {
    name: 'a release by one of those who hold together leaves the others',
    unless: unlessShared,
    async run({ a, b }) {
      const key = someKey()
      const first = await heldBy(a, key, READER)
      const second = await heldBy(b, key, READER)
      await a.release(first)
      assert.equal((await a.release(first)).released, false, 'once')
      await stillHolds(b, second, 'the other one still reads')
      assert.equal(await holdersOf(a, key), 1)
    },
  },
  {
    name: 'a writer that waits keeps later readers out, so that it is not starved',
    unless: unlessAll(unlessShared, unlessPlaces),
    async run({ a, b }) {
      const key = someKey()
      const reader = await heldBy(a, key, READER)
      const writer = waitsFor(key)
      await refused(b, writer, 'somebody reads')
      await refused(a, reads(key), 'a writer waits, so a try to read is refused')
      const later = waitsFor(key, READER)
      await refused(a, later, 'a writer waits before this reader')
      await stillHolds(a, reader, 'who reads goes on reading')
      await a.release(reader)
      await refused(a, later, 'it is the turn of the writer')
      await granted(b, writer, 'nobody reads any more')
      await refused(a, later, 'somebody writes')
      await b.release(writer)
      await granted(a, later, 'the writer is done')
    },
  },
  {
    name: 'readers that wait behind a writer are granted one after the other when it is done',
    unless: unlessAll(unlessShared, unlessPlaces),
    async run({ a, b }) {
      const writer = await heldBy(a, someKey())
      const { key } = writer
      const readers = Array.from({ length: 3 }, () => waitsFor(key, READER))
      for (const reader of readers) await refused(b, reader, 'somebody writes')
      const last = waitsFor(key)
      await refused(a, last, 'somebody writes')
      await a.release(writer)
      for (const reader of readers) await granted(b, reader, 'readers in front of the next writer')
      assert.equal(await holdersOf(a, key), 3, 'they read together')
      await refused(a, last, 'somebody reads')
      for (const reader of readers) await b.release(reader)
      await granted(a, last, 'nobody reads any more')
    },
  },
  {
    name: 'permits are given out in the order of places',
    unless: unlessAll(unlessShared, unlessPlaces),
    async run({ a, b }) {
      const key = someKey()
      const holders = [
        await heldBy(a, key, { mode: 'shared', permits: 2 }),
        await heldBy(b, key, { mode: 'shared', permits: 2 }),
      ]
      const waiting = Array.from({ length: 3 }, () => waitsFor(key, { mode: 'shared', permits: 2 }))
      for (const one of waiting) await refused(a, one, 'both permits are taken')
      for (const holder of holders) await b.release(holder)
      const [first, second, third] = waiting
      assert.ok(first && second && third)
      await refused(b, third, 'two came before')
      await granted(a, first, 'the first of them')
      await granted(b, second, 'the second of them')
      await refused(a, third, 'both permits are taken')
      await a.release(first)
      await granted(b, third, 'a permit is free')
      assert.equal(await waitingFor(a, key), 0)
    },
  },
  {
    name: 'a writer is granted after concurrent readers have come and gone, and works alone',
    unless: unlessShared,
    async run({ a, b, backends }) {
      const key = someKey()
      const readers = Array.from({ length: 12 }, () => reads(key))
      const replies = await Promise.all(
        readers.map((reader, index) => (backends[index % backends.length] ?? a).acquire(reader)),
      )
      assert.ok(
        replies.every((reply) => reply.granted),
        'all may read',
      )
      await refused(b, asksFor(key), 'somebody reads')
      const released = await Promise.all(
        readers.map((reader, index) => (backends[(index + 1) % backends.length] ?? b).release(reader)),
      )
      assert.ok(
        released.every((reply) => reply.released),
        'each had its own',
      )
      assert.equal(await holdersOf(a, key), 0, 'no reader is left behind')
      await heldBy(a, key, {}, 'nobody reads any more')
    },
  },
]
