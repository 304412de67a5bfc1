import assert from 'node:assert/strict'
import type { LockBackend } from '../../locks/lock-backend.ts'
import { type LockCase, unlessMarks, unlessPlaces } from '../lock-harness.ts'
import { asksFor, granted, type Held, heldBy, refused, someKey, viewOf, waitsFor } from '../lock-kit.ts'

/** What a holder leaves for the next one. */
export const markCases: readonly LockCase[] = (
  [
    {
      name: 'a mark of the holder is told to the next one, to whoever asks again, and to people',
      async run({ a, b }) {
        const key = someKey()
        const first = asksFor(key)
        assert.equal((await granted(a, first)).mark, undefined, 'nobody has left a mark')
        assert.equal(await leaves(b, first, 'tick 1'), true, 'the holder may leave a mark')
        assert.equal((await granted(a, first)).mark, 'tick 1', 'the holder asks again')
        assert.equal((await viewOf(b, key)).mark, 'tick 1')
        await a.release(first)
        assert.equal((await viewOf(b, key)).mark, 'tick 1', 'it outlives the grant')
        const second = asksFor(key)
        assert.equal((await granted(b, second)).mark, 'tick 1')
        await b.release(second)
        assert.equal((await granted(a, asksFor(key))).mark, 'tick 1', 'it stays until its end')
      },
    },
    {
      name: 'a later mark replaces the one before, and the same mark may be left again',
      async run({ a, b }) {
        const held = await heldBy(a, someKey())
        for (const text of ['tick 1', 'tick 1', 'tick 2', 'tick 2']) {
          assert.equal(await leaves(a, held, text), true)
        }
        await a.release(held)
        assert.equal((await granted(b, asksFor(held.key))).mark, 'tick 2')
      },
    },
    {
      name: 'whoever does not hold the lock leaves no mark',
      async run({ a, b, unitMs, lapse }) {
        const key = someKey()
        assert.equal(await leaves(a, asksFor(key), 'late'), false, 'nobody holds it')
        const released = await heldBy(a, key)
        assert.equal(await leaves(a, released, 'tick 1'), true)
        await a.release(released)
        assert.equal(await leaves(a, released, 'late'), false, 'it was released')
        const lapsed = await heldBy(a, key, { ttlMs: unitMs })
        await lapse()
        assert.equal(await leaves(a, lapsed, 'late'), false, 'it has lapsed')
        const forced = await heldBy(a, key)
        assert.equal(await leaves(b, lapsed, 'late'), false, 'it is another’s now')
        await b.forceRelease({ key, by: 'ada', reason: 'it hangs' })
        assert.equal(await leaves(a, forced, 'late'), false, 'it was taken away')
        const moved = await heldBy(a, key)
        await a.transfer(moved, asksFor(key))
        assert.equal(await leaves(b, moved, 'late'), false, 'it has changed hands')
        assert.equal((await viewOf(a, key)).mark, 'tick 1', 'the mark is the one of a holder')
      },
    },
    {
      name: 'a mark is forgotten when its time has come, and not before',
      async run({ a, b, unitMs, longMs, lapse }) {
        const brief = await heldBy(a, someKey())
        const lasting = await heldBy(a, someKey())
        assert.equal(await a.mark?.(brief, 'tick 1', unitMs), true)
        assert.equal(await a.mark?.(lasting, 'tick 1', longMs), true)
        await a.release(lasting)
        await lapse()
        await a.release(brief)
        assert.equal((await granted(b, asksFor(brief.key))).mark, undefined, 'its time has come')
        assert.equal((await granted(b, asksFor(lasting.key))).mark, 'tick 1', 'its time has not come')
      },
    },
    {
      name: 'a mark outlives the lapse and the forced release of who left it',
      async run({ a, b, unitMs, lapse, inTime }) {
        const lapsing = await inTime(async () => {
          const held = await heldBy(a, someKey(), { ttlMs: unitMs })
          assert.equal(await leaves(a, held, 'tick 1'), true)
          return held
        })
        await lapse()
        assert.equal((await granted(b, asksFor(lapsing.key))).mark, 'tick 1')
        await a.forceRelease({ key: lapsing.key, by: 'ada', reason: 'it hangs' })
        assert.equal((await granted(b, asksFor(lapsing.key))).mark, 'tick 1')
      },
    },
    {
      name: 'a mark is told to a waiter that is granted, and to the next request of a release',
      unless: unlessPlaces,
      async run({ a, b }) {
        const held = await heldBy(a, someKey())
        const waiting = waitsFor(held.key)
        await refused(b, waiting, 'another holds the lock')
        await leaves(a, held, 'tick 1')
        await a.release(held)
        assert.equal((await granted(b, waiting)).mark, 'tick 1')
        await leaves(b, waiting, 'tick 2')
        const next = waitsFor(held.key)
        const reply = (await b.release(waiting, next)).next ?? (await b.acquire(next))
        assert.ok(reply.granted)
        assert.equal(reply.mark, 'tick 2')
      },
    },
    {
      name: 'a mark is any text, and each key has its own',
      async run({ a, b }) {
        const texts = ['', '2026-11-21T18:00:00.000Z', '{"tick":"a \\" b"}', "it's {0} $1 %s", 'é💾 ', ' x ']
        const key = someKey()
        for (const [index, text] of texts.entries()) {
          const held = await heldBy(a, `${key}/${index}`)
          assert.equal(await leaves(a, held, text), true)
          await a.release(held)
        }
        for (const [index, text] of texts.entries()) {
          assert.equal((await granted(b, asksFor(`${key}/${index}`))).mark, text)
        }
      },
    },
  ] satisfies readonly LockCase[]
).map((one: LockCase): LockCase => ({ ...one, unless: (all) => unlessMarks(all) ?? one.unless?.(all) }))

async function leaves(
  backend: LockBackend,
  held: Pick<Held, 'key' | 'token'>,
  text: string,
): Promise<boolean> {
  assert.ok(backend.mark, 'a backend with marks has mark')
  return backend.mark({ key: held.key, token: held.token }, text, 3_600_000)
}
