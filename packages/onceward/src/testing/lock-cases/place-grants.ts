import assert from 'node:assert/strict'
import type { AcquireRequest, LockBackend, PlaceGrant } from '../../locks/lock-backend.ts'
import { type LockCase, type LockRig, unlessGrants } from '../lock-harness.ts'
import { aMoment, granted, heldBy, refused, someKey, waitsFor } from '../lock-kit.ts'

/** Whatever makes room. */
const WAYS: Readonly<Record<string, (a: LockBackend, held: AcquireRequest) => Promise<unknown>>> = {
  'a release': (a, held) => a.release(held),
  'a release with a next request': (a, held) => a.release(held, waitsFor(held.key)),
  'a forced release': (a, { key }) => a.forceRelease({ key, by: 'ada', reason: 'test' }),
}

/** Places that become grants. */
export const placeGrantCases: readonly LockCase[] = [
  ...Object.entries(WAYS).map(
    ([way, makeRoom]): LockCase => ({
      name: `${way} makes the grant of a place as it was offered, and tells so with the wake`,
      unless: unlessGrants,
      async run(rig) {
        // What is told before the first one listens passes it by.
        for (let tries = 0; !(await becomesGrant(rig, makeRoom)); tries++) {
          assert.ok(tries < 5, `${way} tells of the grant`)
        }
      },
    }),
  ),
  {
    name: 'a place that has lapsed becomes no grant, and one that offers nothing is only told of its turn',
    unless: unlessGrants,
    async run(rig) {
      const { a, b, unitMs } = rig
      const held = await heldBy(a, someKey())
      await refused(b, waitsFor(held.key, { round: 1, placeMs: unitMs }), 'another holds the lock')
      const plain = waitsFor(held.key)
      await refused(b, plain, 'another holds the lock')
      await rig.lapse()
      await a.release(held)
      const seen = await a.inspect(held.key)
      assert.deepEqual([seen?.holders.length, seen?.waiting], [0, 1])
      await granted(b, plain, 'it is its turn')
    },
  },
  {
    name: 'a lease that is shorter than its place ends in its own time',
    unless: unlessGrants,
    async run(rig) {
      const { a, b, unitMs, longMs } = rig
      const { key } = await rig.inTime(async () => {
        const held = await heldBy(a, someKey())
        const brief = waitsFor(held.key, { round: 1, ttlMs: unitMs, placeMs: longMs })
        await refused(b, brief, 'another holds the lock')
        await a.release(held)
        const [holder] = (await a.inspect(held.key))?.holders ?? []
        assert.ok(holder && holder.remainingMs <= unitMs, 'it holds for as long as it was asked for')
        return held
      })
      await rig.lapse()
      await heldBy(a, key, {}, 'the lease has lapsed')
    },
  },
]

/** Lets a place become the grant. Answers whether its watcher was told. */
async function becomesGrant(
  { a, b, exactTime, patienceMs }: LockRig,
  makeRoom: (a: LockBackend, held: AcquireRequest) => Promise<unknown>,
): Promise<boolean> {
  const placeMs = 30_000
  const held = await heldBy(a, someKey())
  const before = held.fence ?? 0
  const request = waitsFor(held.key, { round: 7, fences: 5, meta: 'offered', ttlMs: 60_000, placeMs })
  const told: (PlaceGrant | undefined)[] = []
  const stop = b.watch?.(request, (grant) => void told.push(grant))
  for (let moment = 0; moment < 10 && !exactTime; moment++) await aMoment()
  await refused(b, request, 'another holds the lock')
  await makeRoom(a, held)
  const seen = await a.inspect(held.key)
  const [holder, another] = seen?.holders ?? []
  assert.deepEqual([holder?.owner, holder?.meta, another], [request.owner, 'offered', undefined])
  assert.ok(holder?.fence !== undefined && holder.fence > before, 'a greater fence')
  assert.ok(holder.remainingMs <= placeMs, 'it ends as the place would have')
  assert.equal(seen?.fence, holder.fence + 4, 'with as many fences as were asked for')
  const isTold = () => told.some((grant) => grant?.round === 7 && grant.fence === holder.fence)
  const until = performance.now() + patienceMs
  while (!isTold() && performance.now() < until) await aMoment()
  stop?.()
  assert.equal((await granted(b, request, 'it has it already')).fence, holder.fence)
  assert.equal((await b.release(request)).released, true)
  return isTold()
}
