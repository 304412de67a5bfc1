import assert from 'node:assert/strict'
import type { AcquireRequest, LockBackend } from '../../locks/lock-backend.ts'
import { type LockCase, unlessPlaces } from '../lock-harness.ts'
import {
  asksFor,
  granted,
  heldBy,
  refused,
  someKey,
  stillHolds,
  strictlyIncreasing,
  waitingFor,
  waitsFor,
} from '../lock-kit.ts'

/** Waiting in order. */
export const placeCases: readonly LockCase[] = (
  [
    {
      name: 'waiters are granted in the order in which they took their places, over all connections',
      async run({ a, b, backends, capabilities }) {
        const held = await heldBy(a, someKey())
        const waiting = await takePlaces(backends, held.key, 6)
        await a.release(held)
        const fences = [held.fence]
        for (const [index, one] of waiting.entries()) {
          for (const later of waiting.slice(index + 1)) {
            await refused(a, later, `it is the turn of waiter ${index + 1}`)
          }
          const { fence } = await granted(b, one, `it is the turn of waiter ${index + 1}`)
          fences.push(fence)
          for (const later of waiting.slice(index + 1)) {
            await refused(b, later, `waiter ${index + 1} holds the lock`)
          }
          assert.equal((await a.release(one)).released, true)
        }
        assert.equal(await waitingFor(a, held.key), 0, 'everybody was served')
        if (capabilities.fencing) strictlyIncreasing(fences)
      },
    },
    {
      name: 'a waiter that asks again keeps its one place',
      async run({ a, b }) {
        const held = await heldBy(a, someKey())
        const first = waitsFor(held.key)
        const second = waitsFor(held.key)
        await refused(a, first, 'another holds the lock')
        await refused(b, second, 'another holds the lock')
        for (const backend of [a, b, a]) await refused(backend, first, 'another still holds the lock')
        const copies = await Promise.all([a, b, a, b].map((backend) => backend.acquire(first)))
        assert.ok(copies.every((reply) => !reply.granted))
        assert.equal(await waitingFor(b, held.key), 2, 'each waits once')
        await a.release(held)
        await refused(b, second, 'the first one is still first')
        await granted(a, first, 'asking again does not cost the place')
      },
    },
    {
      name: 'an attempt without a place does not push in front of those who wait, unless it may overtake',
      async run({ a, b }) {
        const held = await heldBy(a, someKey())
        const waiting = waitsFor(held.key)
        await refused(b, waiting, 'another holds the lock')
        await a.release(held)
        for (const backend of [a, b]) {
          await refused(backend, asksFor(held.key), 'the lock is free, but it is the turn of who waits')
        }
        assert.equal(await waitingFor(a, held.key), 1, 'a refused attempt leaves no place')
        const pusher = await heldBy(a, held.key, { overtake: true }, 'whoever may overtake is granted')
        await refused(b, waiting, 'now it is held again')
        await a.release(pusher)
        await granted(b, waiting, 'who waited has kept its place')
      },
    },
    {
      name: 'whoever may overtake is still refused what another holds',
      async run({ a, b }) {
        const held = await heldBy(a, someKey())
        for (const backend of [a, b]) {
          await refused(backend, asksFor(held.key, { overtake: true }), 'another holds the lock')
        }
        await stillHolds(a, held, 'the holder is not disturbed')
      },
    },
    {
      name: 'a waiter in the line may be allowed to overtake it, and leaves it then',
      async run({ a, b }) {
        const held = await heldBy(a, someKey())
        const [first, second] = await takePlaces([a, b], held.key, 2)
        assert.ok(first && second)
        await a.release(held)
        await granted(b, { ...second, overtake: true }, 'whoever may overtake is granted')
        assert.equal(await waitingFor(a, held.key), 1, 'it has left the line')
        await b.release(second)
        await granted(a, first, 'the other one is still first')
      },
    },
    {
      name: 'a waiter that does not come back loses its place after the time it asked for, and the next is granted',
      async run({ a, b, unitMs, slackMs, lapse }) {
        const held = await heldBy(a, someKey())
        const dead = waitsFor(held.key, { placeMs: unitMs })
        const next = waitsFor(held.key)
        await refused(a, dead, 'another holds the lock')
        await refused(b, next, 'another holds the lock')
        await a.release(held)
        const reply = await b.acquire(next)
        if (!reply.granted) {
          assert.ok(
            reply.retryAfterMs <= unitMs + slackMs,
            `the waiter in front has ${unitMs} ms, not ${reply.retryAfterMs}`,
          )
          await lapse()
          await granted(b, next, 'the waiter in front is gone')
        }
        assert.equal(await waitingFor(a, held.key), 0, 'nobody waits any more')
        await refused(a, dead, 'and when it comes back, the lock has another holder')
      },
    },
    {
      name: 'a place is not given up before its time',
      async run({ a, b, unitMs, longMs, lapse, inTime }) {
        const { held, first, second } = await inTime(async () => {
          const held = await heldBy(a, someKey())
          const first = waitsFor(held.key, { placeMs: unitMs })
          const second = waitsFor(held.key)
          await refused(a, first, 'another holds the lock')
          await refused(b, second, 'another holds the lock')
          await refused(a, { ...first, placeMs: longMs }, 'it renews its place by asking again')
          return { held, first, second }
        })
        await a.release(held)
        await lapse()
        await refused(b, second, 'the first one has renewed its place')
        await granted(a, first, 'the first one is still first')
      },
    },
    {
      name: 'a waiter whose place was given up goes to the end of the line',
      async run({ a, b, unitMs, lapse }) {
        const held = await heldBy(a, someKey())
        const late = waitsFor(held.key, { placeMs: unitMs })
        await refused(a, late, 'another holds the lock')
        await lapse()
        const second = waitsFor(held.key)
        await refused(b, second, 'another holds the lock')
        await refused(a, waitsFor(held.key, { token: late.token }), 'another holds the lock')
        await a.release(held)
        await refused(a, late, 'somebody else is first now')
        await granted(b, second, 'the line has moved on')
      },
    },
    {
      name: 'when a holder lapses the first waiter is granted, not the one who asks first',
      async run({ a, b, unitMs, lapse, inTime }) {
        const [first, second] = await inTime(async () => {
          const held = await heldBy(a, someKey(), { ttlMs: unitMs })
          return takePlaces([a, b], held.key, 2)
        })
        assert.ok(first && second)
        await lapse()
        await refused(b, second, 'the first one comes before')
        await granted(a, first, 'the holder has lapsed')
      },
    },
    {
      name: 'of many waiters who ask at once the first one is granted',
      async run({ a, backends }) {
        const held = await heldBy(a, someKey())
        const waiting = await takePlaces(backends, held.key, 12)
        await a.release(held)
        const askers = waiting.toReversed()
        const replies = await Promise.all(
          askers.map((one, index) => (backends[index % backends.length] ?? a).acquire(one)),
        )
        assert.deepEqual(
          askers.filter((_, index) => replies[index]?.granted),
          waiting.slice(0, 1),
          'the first one and nobody else',
        )
      },
    },
    {
      name: 'concurrent waiters each get a place of their own',
      async run({ a, b, backends }) {
        const held = await heldBy(a, someKey())
        const waiting = Array.from({ length: 16 }, () => waitsFor(held.key))
        await Promise.all(waiting.map((one, index) => (backends[index % backends.length] ?? a).acquire(one)))
        assert.equal(await waitingFor(b, held.key), waiting.length, 'no place is lost')
        await a.release(held)
        const left = new Set(waiting)
        while (left.size > 0) {
          const served = []
          for (const one of left) if ((await b.acquire(one)).granted) served.push(one)
          assert.equal(served.length, 1, 'one at a time')
          for (const one of served) {
            left.delete(one)
            await a.release(one)
          }
        }
      },
    },
    {
      name: 'the line of one key is not the line of another',
      async run({ a, b }) {
        const one = await heldBy(a, someKey())
        const other = await heldBy(b, someKey())
        const [first] = await takePlaces([a], one.key, 1)
        assert.ok(first)
        await b.release(other)
        await heldBy(a, other.key, {}, 'nobody waits for this key')
        await a.release(one)
        await refused(b, asksFor(one.key), 'somebody waits for that one')
        await granted(b, first, 'and is granted')
      },
    },
  ] satisfies readonly LockCase[]
).map((one): LockCase => ({ ...one, unless: unlessPlaces }))

/** Takes places one after the other over the connections, while somebody holds the lock. */
async function takePlaces(
  backends: readonly LockBackend[],
  key: string,
  count: number,
): Promise<readonly AcquireRequest[]> {
  const waiting = Array.from({ length: count }, () => waitsFor(key))
  for (const [index, one] of waiting.entries()) {
    const backend = backends[index % backends.length]
    assert.ok(backend)
    await refused(backend, one, 'another holds the lock')
  }
  return waiting
}
