import assert from 'node:assert/strict'
import { systemClock } from '../../core/system.ts'
import type { AcquireRequest, LockBackend } from '../../locks/lock-backend.ts'
import type { LockCase, LockRig } from '../lock-harness.ts'
import {
  aMoment,
  asksFor,
  granted,
  heldBy,
  holdersOf,
  refused,
  someKey,
  stillHolds,
  strictlyIncreasing,
  viewOf,
  waitingFor,
} from '../lock-kit.ts'

/** Who is granted a lock that is held alone, and until when. */
export const grantCases: readonly LockCase[] = [
  {
    name: 'of 50 concurrent requests for one key over all connections one is granted',
    async run(rig) {
      const key = someKey()
      const winners = await askAll(
        rig,
        Array.from({ length: 50 }, () => asksFor(key)),
      )
      assert.ok(winners.length <= 1, `one holder at a time, not ${winners.length}`)
      // Where several servers vote, all may lose to each other; whoever decides alone has no such excuse.
      if (rig.capabilities.fencing) assert.equal(winners.length, 1, 'somebody gets a free lock')
      const [winner] = winners
      if (winner) await stillHolds(rig.b, winner, 'the winner holds the lock')
    },
  },
  {
    name: 'locks of different keys do not stand in each other’s way',
    async run(rig) {
      const keys = Array.from({ length: 30 }, someKey)
      const requests = keys.map((key) => asksFor(key))
      const winners = await askAll(rig, requests)
      assert.equal(winners.length, keys.length, 'every key is granted')
      for (const request of requests) await stillHolds(rig.a, request, 'every key has its holder')
    },
  },
  {
    name: 'whoever holds a lock works alone, and fences follow the order of grants',
    async run({ backends, capabilities }) {
      const key = someKey()
      const fences: (number | undefined)[] = []
      let inside = 0
      const work = async (backend: LockBackend) => {
        for (let round = 0; round < 5; round++) {
          const held = await asksUntilGranted(backend, key)
          inside += 1
          assert.equal(inside, 1, 'nobody else is inside')
          fences.push(held.fence)
          await aMoment()
          inside -= 1
          assert.equal((await backend.release(held)).released, true, 'the holder still had the lock')
        }
      }
      await Promise.all([...backends, ...backends, ...backends].map(work))
      if (capabilities.fencing) strictlyIncreasing(fences)
    },
  },
  {
    name: 'a request asked again is the same grant with the same fence, on another connection too',
    async run({ a, b, capabilities }) {
      const key = someKey()
      const request = asksFor(key)
      const first = await granted(a, request)
      if (capabilities.fencing) strictlyIncreasing([first.fence])
      else assert.equal(first.fence, undefined, 'a backend without fences tells none')
      for (const backend of [a, b]) {
        const again = await granted(backend, request, 'the holder asks again')
        assert.equal(again.fence, first.fence, 'the same grant has the same fence')
      }
      const together = await Promise.all([a, b, a, b].map((backend) => backend.acquire(request)))
      for (const reply of together) {
        assert.ok(reply.granted && reply.fence === first.fence, 'copies of a request are one request')
      }
      assert.equal(await holdersOf(b, key), 1, 'the holder is there once')
      assert.equal((await viewOf(a, key)).fence, first.fence, 'no second fence was given out')
    },
  },
  {
    name: 'the first copies of one request, asked at once, are one grant',
    async run({ a, b, capabilities }) {
      const request = asksFor(someKey())
      const replies = await Promise.all([a, b, a, b, a, b].map((backend) => backend.acquire(request)))
      const grants = replies.filter((reply) => reply.granted)
      if (capabilities.fencing) assert.equal(grants.length, replies.length, 'every copy is granted')
      assert.ok(new Set(grants.map((reply) => reply.fence)).size <= 1, 'and all have the same fence')
    },
  },
  {
    name: 'a request asked again counts its time from then',
    async run({ a, b, unitMs, longMs, lapse, inTime }) {
      const request = await inTime(async () => {
        const brief = asksFor(someKey(), { ttlMs: unitMs })
        await granted(a, brief)
        await granted(b, { ...brief, ttlMs: longMs }, 'the holder asks again')
        return brief
      })
      await lapse()
      await refused(b, asksFor(request.key), 'the lock is held for as long as was asked last')
    },
  },
  {
    name: 'an attempt while another holds the lock is refused and leaves nothing',
    async run({ a, b }) {
      const held = await heldBy(a, someKey())
      for (const backend of [b, a]) await refused(backend, asksFor(held.key), 'another holds the lock')
      assert.equal(await holdersOf(b, held.key), 1, 'the holder is the only one')
      assert.equal(await waitingFor(b, held.key), 0, 'an attempt without a place leaves none')
      await stillHolds(a, held, 'the holder is not disturbed')
      await a.release(held)
      await heldBy(b, held.key, {}, 'nobody waits for a free lock')
    },
  },
  {
    name: 'a refusal tells when the holder in the way will have lapsed',
    async run({ a, b, unitMs, slackMs, longMs, inTime }) {
      const lasting = await heldBy(a, someKey())
      const long = await refused(b, asksFor(lasting.key), 'another holds the lock for long')
      assert.ok(
        long > longMs / 2 && long <= longMs + slackMs,
        `the holder in the way has ${longMs} ms, so asking again after ${long} ms helps nobody`,
      )
      const brief = await inTime(() => heldBy(a, someKey(), { ttlMs: unitMs }))
      const reply = await b.acquire(asksFor(brief.key))
      if (!reply.granted)
        assert.ok(
          reply.retryAfterMs > 0 && reply.retryAfterMs <= unitMs + slackMs,
          `the holder in the way lapses within ${unitMs} ms, long before ${reply.retryAfterMs} ms`,
        )
    },
  },
  {
    name: 'a holder is not followed before its time has lapsed on the clock of the backend, and then it is',
    async run({ a, b, unitMs, slackMs, exactTime, pass, inTime }) {
      const { key, from } = await inTime(async () => {
        const from = systemClock.monotonic()
        return { from, ...(await heldBy(a, someKey(), { ttlMs: unitMs })) }
      })
      if (exactTime) {
        for (const backend of [a, b]) await refused(backend, asksFor(key), 'the holder has just begun')
        await pass(unitMs - 1)
        for (const backend of [a, b]) await refused(backend, asksFor(key), 'a moment is left to the holder')
        await pass(1)
        await heldBy(b, key, {}, 'a lapsed lock is free')
        return
      }
      await asksUntilGranted(b, key)
      const waited = systemClock.monotonic() - from
      assert.ok(
        waited >= unitMs - CLOCKS_MS,
        `the holder had ${unitMs} ms and was followed after ${waited} ms`,
      )
      const late = waited - unitMs - slackMs
      assert.ok(late < LATE_MS, `a lapsed lock is free, but it took ${late} ms more than its time`)
    },
  },
  {
    name: 'of 20 requests for a lapsed lock one is granted',
    async run(rig) {
      const { key } = await rig.inTime(() => heldBy(rig.a, someKey(), { ttlMs: rig.unitMs }))
      await rig.lapse()
      const winners = await askAll(
        rig,
        Array.from({ length: 20 }, () => asksFor(key)),
      )
      assert.ok(winners.length <= 1, `one holder at a time, not ${winners.length}`)
      if (rig.capabilities.fencing) assert.equal(winners.length, 1, 'somebody gets a lapsed lock')
    },
  },
]

/** What two clocks that run at the same speed may differ by when they count whole milliseconds. */
const CLOCKS_MS = 5

/** A busy machine is slow, and that is no fault of the backend. */
const LATE_MS = 5_000

/** Asks all at once over all connections; answers who was granted. */
async function askAll(
  { backends, a }: LockRig,
  requests: readonly AcquireRequest[],
): Promise<readonly AcquireRequest[]> {
  const replies = await Promise.all(
    requests.map((request, index) => (backends[index % backends.length] ?? a).acquire(request)),
  )
  return requests.filter((_, index) => replies[index]?.granted)
}

/** Asks again and again, each time as somebody new, without a place. */
async function asksUntilGranted(
  backend: LockBackend,
  key: string,
): Promise<AcquireRequest & { readonly fence: number | undefined }> {
  for (;;) {
    const request = asksFor(key)
    const reply = await backend.acquire(request)
    if (reply.granted) return { ...request, fence: reply.fence }
    await aMoment()
  }
}
