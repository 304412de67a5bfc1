import assert from 'node:assert/strict'
import { type LockCase, unlessPlaces } from '../lock-harness.ts'
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

/** Moving the end of a grant. */
export const extendCases: readonly LockCase[] = [
  {
    name: 'an extended lock is held from then on for as long as was asked, on any connection',
    async run({ a, b, unitMs, longMs, lapse, inTime }) {
      const held = await inTime(async () => {
        const brief = await heldBy(a, someKey(), { ttlMs: unitMs })
        assert.deepEqual(await b.extend([{ key: brief.key, token: brief.token, ttlMs: longMs }]), [true])
        return brief
      })
      await lapse()
      await refused(b, asksFor(held.key), 'the extended lock is held')
      await stillHolds(a, held, 'the holder still has it')
    },
  },
  {
    name: 'a lock is extended to an earlier end too',
    async run({ a, b, unitMs, lapse }) {
      const held = await heldBy(a, someKey())
      assert.deepEqual(await a.extend([{ key: held.key, token: held.token, ttlMs: unitMs }]), [true])
      await lapse()
      await heldBy(b, held.key, {}, 'the lock ends when its holder said last')
    },
  },
  {
    name: 'a lapsed lock cannot be extended and stays lost, though nobody else has taken it',
    async run({ a, b, unitMs, longMs, lapse, inTime }) {
      const held = await inTime(() => heldBy(a, someKey(), { ttlMs: unitMs }))
      await lapse()
      for (const backend of [a, b, a]) {
        const extended = await backend.extend([{ key: held.key, token: held.token, ttlMs: longMs }])
        assert.deepEqual(extended, [false], 'what has lapsed is lost')
      }
      await heldBy(b, held.key, {}, 'a lapsed lock is free')
      await holdsNothing(a, held, 'it has another holder now')
      assert.equal(await holdersOf(a, held.key), 1, 'the new holder is not disturbed')
    },
  },
  {
    name: 'only the token of the holder extends a lock',
    async run({ a, b, unitMs }) {
      const held = await heldBy(a, someKey())
      const stranger = asksFor(held.key)
      for (const backend of [a, b]) {
        const extended = await backend.extend([{ key: held.key, token: stranger.token, ttlMs: unitMs }])
        assert.deepEqual(extended, [false], 'a stranger extends nothing')
      }
      const [holder] = (await viewOf(b, held.key)).holders
      assert.ok((holder?.remainingMs ?? 0) > unitMs, 'the holder keeps its end')
      const free = someKey()
      assert.deepEqual(await a.extend([{ key: free, token: stranger.token, ttlMs: unitMs }]), [false])
      assert.equal(await holdersOf(a, free), 0, 'extending what nobody holds grants nothing')
    },
  },
  {
    name: 'whoever waits has nothing to extend',
    unless: unlessPlaces,
    async run({ a, b, longMs }) {
      const held = await heldBy(a, someKey())
      const waiting = waitsFor(held.key)
      await refused(b, waiting, 'another holds the lock')
      const extend = () => b.extend([{ key: held.key, token: waiting.token, ttlMs: longMs }])
      assert.deepEqual(await extend(), [false], 'a place is no grant')
      await a.release(held)
      assert.deepEqual(await extend(), [false], 'a place at the head is no grant either')
      await granted(b, waiting, 'the place is still there')
    },
  },
  {
    name: 'many locks are extended in one go, each with its own answer in the order asked',
    async run({ a, b, unitMs, longMs, lapse, inTime }) {
      const lapsed = await inTime(() =>
        Promise.all(Array.from({ length: 5 }, () => heldBy(a, someKey(), { ttlMs: unitMs }))),
      )
      await lapse()
      const kept = await Promise.all(
        Array.from({ length: 30 }, (_, index) => heldBy(index % 2 ? a : b, someKey())),
      )
      const released = await Promise.all(Array.from({ length: 5 }, () => heldBy(a, someKey())))
      await Promise.all(released.map((one) => a.release(one)))
      const foreign = await Promise.all(
        Array.from({ length: 5 }, async () => asksFor((await heldBy(b, someKey())).key)),
      )
      const unknown = Array.from({ length: 5 }, () => asksFor(someKey()))
      const lost = [...lapsed, ...released, ...foreign, ...unknown]
      const all = kept.flatMap((one, index) => {
        const other = lost[index % lost.length]
        return other && index < lost.length ? [one, other] : [one]
      })
      const answers = await a.extend(all.map(({ key, token }) => ({ key, token, ttlMs: longMs })))
      assert.deepEqual(
        answers,
        all.map((one) => kept.some(({ token }) => token === one.token)),
        'each answer belongs to its request',
      )
      for (const one of [...lapsed, ...released, ...unknown]) {
        assert.equal(await holdersOf(b, one.key), 0, 'a refused extension grants nothing')
      }
      assert.deepEqual(await a.extend([]), [], 'nothing asked, nothing answered')
    },
  },
  {
    name: 'an extension counts from when it was asked, for each lock of the batch',
    async run({ a, b, unitMs, longMs, lapse, inTime }) {
      const [long, short] = await inTime(async () => {
        const lasting = await heldBy(a, someKey())
        const brief = await heldBy(a, someKey(), { ttlMs: unitMs })
        const answers = await a.extend([
          { key: brief.key, token: brief.token, ttlMs: longMs },
          { key: lasting.key, token: lasting.token, ttlMs: unitMs },
        ])
        assert.deepEqual(answers, [true, true])
        return [brief, lasting]
      })
      await lapse()
      await refused(b, asksFor(long.key), 'one was asked for long')
      await heldBy(b, short.key, {}, 'the other was asked for a short time')
    },
  },
  {
    name: 'an extension replaces what people see of the holder, or leaves it',
    async run({ a, b, longMs }) {
      const held = await heldBy(a, someKey(), { meta: 'batch 1' })
      const metaOf = async () => (await viewOf(b, held.key)).holders[0]?.meta
      await a.extend([{ key: held.key, token: held.token, ttlMs: longMs }])
      assert.equal(await metaOf(), 'batch 1', 'it stays')
      await a.extend([{ key: held.key, token: held.token, ttlMs: longMs, meta: 'batch 2' }])
      assert.equal(await metaOf(), 'batch 2', 'it is replaced')
    },
  },
]
