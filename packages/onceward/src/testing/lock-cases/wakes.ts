import assert from 'node:assert/strict'
import type { AcquireRequest, LockBackend } from '../../locks/lock-backend.ts'
import { within } from '../case-kit.ts'
import { type LockCase, type LockRig, unlessAll, unlessShared, unlessWakes } from '../lock-harness.ts'
import { aMoment, granted, heldBy, refused, someKey, waitsFor } from '../lock-kit.ts'

/** Waking who is next. */
export const wakeCases: readonly LockCase[] = [
  {
    name: 'a release wakes the first waiter, on this connection and on another',
    unless: unlessWakes,
    async run(rig) {
      const { a, b } = rig
      for (const waiter of [a, b]) {
        const held = await heldBy(a, someKey())
        const waiting = await waitsWatched(rig, waiter, waitsFor(held.key))
        await waiting.woken('a release', () => a.release(held))
        await granted(waiter, waiting.request, 'it is its turn')
      }
    },
  },
  {
    name: 'waiters are woken one after the other down the line',
    unless: unlessWakes,
    async run(rig) {
      const { a, b } = rig
      let held: AcquireRequest = await heldBy(a, someKey())
      const line = []
      for (const backend of [b, a, b]) {
        line.push({ backend, waiting: await waitsWatched(rig, backend, waitsFor(held.key)) })
      }
      for (const { backend, waiting } of line) {
        const before = held
        await waiting.woken('the release of who was before', () => b.release(before))
        await granted(backend, waiting.request, 'it is its turn')
        held = waiting.request
      }
    },
  },
  {
    name: 'a forced release wakes the first waiter',
    unless: unlessWakes,
    async run(rig) {
      const { a, b } = rig
      const held = await heldBy(a, someKey())
      const waiting = await waitsWatched(rig, b, waitsFor(held.key))
      const forced = () => a.forceRelease({ key: held.key, by: 'ada', reason: 'it hangs' })
      assert.equal(await waiting.woken('a forced release', forced), 1)
      await granted(b, waiting.request, 'the lock was taken from its holder')
    },
  },
  {
    name: 'release with a next request wakes who waited before it',
    unless: unlessWakes,
    async run(rig) {
      const { a, b } = rig
      const held = await heldBy(a, someKey())
      const waiting = await waitsWatched(rig, b, waitsFor(held.key))
      await waiting.woken('a release with a next request', () => a.release(held, waitsFor(held.key)))
      await granted(b, waiting.request, 'it is its turn')
    },
  },
  {
    name: 'a waiter that gives up its turn wakes the one behind it',
    unless: unlessWakes,
    async run(rig) {
      const { a, b } = rig
      const held = await heldBy(a, someKey())
      const first = waitsFor(held.key)
      await refused(a, first, 'another holds the lock')
      const waiting = await waitsWatched(rig, b, waitsFor(held.key))
      await a.release(held)
      await waiting.woken('a place that was given up', () => a.release(first))
      await granted(b, waiting.request, 'it is first now')
    },
  },
  {
    name: 'a reader that is granted wakes the reader behind it',
    unless: unlessAll(unlessWakes, unlessShared),
    async run(rig) {
      const { a, b } = rig
      const writer = await heldBy(a, someKey())
      const reader = { mode: 'shared', permits: Number.POSITIVE_INFINITY } as const
      const first = await waitsWatched(rig, b, waitsFor(writer.key, reader))
      const second = await waitsWatched(rig, a, waitsFor(writer.key, reader))
      await first.woken('the release of the writer', () => a.release(writer))
      await second.woken('the grant of the reader before', () =>
        granted(b, first.request, 'the writer is done'),
      )
      await granted(a, second.request, 'readers read together')
    },
  },
  {
    name: 'no wake is missed by a waiter that watched before it asked',
    unless: unlessWakes,
    async run({ a, b, patienceMs }) {
      for (let round = 0; round < 20; round++) {
        const held = await heldBy(a, someKey())
        const request = waitsFor(held.key)
        // It may have a place already, or take one by the very request that a release crosses.
        if (round % 2) await refused(b, request, 'another holds the lock')
        const { stop, next } = watching(b, request)
        const wake = next()
        const [reply] = await Promise.all([b.acquire(request), a.release(held)])
        if (!reply.granted) {
          await within(patienceMs, 'a release between watching and waiting wakes', wake)
          await granted(b, request, 'it is its turn')
        }
        stop()
      }
    },
  },
  {
    name: 'a waiter that stopped watching hears nothing more, and others still do',
    unless: unlessWakes,
    async run(rig) {
      const { a, b } = rig
      const held = await heldBy(a, someKey())
      const waiting = await waitsWatched(rig, b, waitsFor(held.key))
      let late = 0
      const stop = b.watch?.(waiting.request, () => {
        late += 1
      })
      stop?.()
      stop?.()
      const before = late
      await waiting.woken('a release', () => a.release(held))
      assert.equal(late, before, 'stopped is stopped')
      await granted(b, waiting.request, 'it is its turn')
    },
  },
]

/** Takes a place and watches it until it can be sure to be told. */
async function waitsWatched(rig: LockRig, backend: LockBackend, request: AcquireRequest) {
  await refused(backend, request, 'another holds the lock')
  const { stop, next } = watching(backend, request)
  // Whoever waits asks once more after it began to watch; until then a wake may pass it by.
  await refused(backend, request, 'another holds the lock')
  // A backend may wake once when it begins to listen. That wake is not the one that is asked for below.
  for (let moment = 0; moment < 10 && !rig.exactTime; moment++) await aMoment()
  return {
    request,
    async woken<T>(by: string, act: () => Promise<T>): Promise<T> {
      const wake = next()
      const answer = await act()
      await within(rig.patienceMs, `the waiter is woken by ${by}`, wake)
      stop()
      return answer
    },
  }
}

/** Watches; `next` resolves at the first wake after it was called. */
function watching(backend: LockBackend, request: AcquireRequest) {
  assert.ok(backend.watch, 'a backend with push has watch')
  let told = () => {}
  const stop = backend.watch(request, () => told())
  const next = () =>
    new Promise<void>((resolve) => {
      told = resolve
    })
  return { stop, next }
}
