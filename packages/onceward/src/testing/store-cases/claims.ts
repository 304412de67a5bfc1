import assert from 'node:assert/strict'
import type { OperationStore } from '../../core/store.ts'
import {
  asks,
  claimed,
  doneBy,
  expectReply,
  finished,
  leavesUntouched,
  outcomeOf,
  recordOf,
  sameSteps,
  someId,
} from '../case-kit.ts'
import type { StoreCase } from '../store-harness.ts'

/** Who gets an operation, and what the others are told. */
export const claimCases: readonly StoreCase<OperationStore>[] = [
  {
    name: 'a first claim is granted, as attempt 1 and without steps, and remembered as asked for',
    async run({ a, b }) {
      const id = someId()
      assert.equal(await a.get(id), undefined, 'an operation nobody claimed has no record')
      const request = asks(id, { fingerprint: 'f1', leaseMs: 60_000, retentionMs: 120_000, onCrash: 'rerun' })
      const reply = await expectReply(a, request, 'claimed', 'the first claim is granted')
      assert.equal(reply.takenOver, false, 'a first claim takes nothing over')
      assert.deepEqual(reply.steps, [], 'a first claim finds no steps')
      assert.equal(reply.claim.attempt, 1, 'a first claim is attempt 1')
      assert.equal(reply.claim.owner, request.owner, 'the claim belongs to the owner who asked')
      assert.deepEqual(reply.claim.id, id, 'the claim names its operation')
      const record = await recordOf(b, id)
      assert.deepEqual(record.id, id, 'the record carries scope, key and digest')
      assert.equal(record.state, 'running')
      assert.equal(record.fingerprint, 'f1')
      assert.equal(record.onCrash, 'rerun')
      assert.equal(record.owner, request.owner)
      assert.equal(record.fence, reply.claim.fence)
      assert.equal(record.attempt, 1)
      assert.equal(record.retentionMs, 120_000)
      assert.equal(record.duplicates, 0)
      assert.equal(record.leaseUntil - record.createdAt, 60_000, 'the lease is counted from the claim')
      assert.deepEqual(
        record.history.map(({ event, attempt, fence }) => ({ event, attempt, fence })),
        [{ event: 'claimed', attempt: 1, fence: reply.claim.fence }],
        'the claim is the first line of the history',
      )
    },
  },
  {
    name: 'of 50 concurrent claims of one key over all connections one wins, the others find it running',
    async run({ stores }) {
      const id = someId()
      const replies = await Promise.all(
        Array.from({ length: 50 }, (_, index) => at(stores, index).claim(asks(id))),
      )
      const winners = replies.filter((reply) => reply.state === 'claimed')
      assert.equal(winners.length, 1, `exactly one of 50 concurrent claims wins, not ${winners.length}`)
      assert.equal(
        replies.filter((reply) => reply.state === 'running').length,
        49,
        'the others find it running',
      )
      const record = await recordOf(at(stores, 1), id)
      assert.equal(record.duplicates, 49, 'each of the others is counted as a duplicate')
    },
  },
  {
    name: 'concurrent claims of many keys at once have one winner for each key',
    async run({ stores }) {
      const ids = Array.from({ length: 12 }, () => someId())
      const batch = Array.from({ length: 8 }, (_, round) =>
        ids.map(async (id, index) => ({ id, reply: await at(stores, round + index).claim(asks(id)) })),
      )
      const answers = await Promise.all(batch.flat())
      for (const id of ids) {
        const own = answers.filter((answer) => answer.id === id)
        const winners = own.filter(({ reply }) => reply.state === 'claimed')
        assert.equal(winners.length, 1, 'exactly one claim of each key wins')
        for (const { reply } of winners) {
          if (reply.state === 'claimed')
            assert.deepEqual(reply.claim.id, id, 'a reply speaks of the key asked for')
        }
      }
    },
  },
  {
    name: 'concurrent claims that end at once each run alone, one after the other',
    async run({ stores }) {
      const id = someId()
      let inside = 0
      let runs = 0
      const worker = async (store: OperationStore) => {
        for (let turn = 0; turn < 40; turn++) {
          const reply = await store.claim(asks(id, { again: true }))
          if (reply.state !== 'claimed') continue
          inside++
          assert.equal(inside, 1, 'two owners hold one operation at the same time')
          assert.deepEqual(await store.renew(reply.claim, 60_000), true, 'the owner keeps its claim')
          inside--
          runs++
          assert.equal(await store.release(reply.claim), true, 'the owner gives it back')
        }
      }
      await Promise.all(Array.from({ length: 8 }, (_, index) => worker(at(stores, index))))
      assert.ok(runs >= 2, 'a released operation is claimed again')
      assert.equal((await recordOf(at(stores, 0), id)).attempt, runs, 'each run is one attempt')
    },
  },
  {
    name: 'a claim asked again by the same owner is the same claim, with the finished steps and a fresh lease',
    async run({ a, b, unitMs, pass }) {
      const id = someId()
      const request = asks(id, { leaseMs: unitMs })
      const { claim } = await expectReply(a, request, 'claimed', 'the first claim is granted')
      const again = await expectReply(b, request, 'claimed', 'the same nonce is the same claim')
      assert.deepEqual(again.claim, claim, 'asking again gives the same fence and attempt')
      await a.renew(claim, unitMs)
      const charge = finished('charge', 'receipt 7')
      await a.checkpoint(claim, charge)
      await a.checkpoint(claim, { name: 'mail', state: 'started', onCrash: 'rerun' })
      const later = await expectReply(
        b,
        { ...request, leaseMs: 3_600_000 },
        'claimed',
        'also after other transitions',
      )
      assert.deepEqual(later.claim, claim)
      assert.equal(later.takenOver, false, 'asking again takes nothing over')
      sameSteps(later.steps, [charge], 'the reply holds the finished steps and no started ones')
      await pass(unitMs * 2)
      await expectReply(b, asks(id), 'running', 'asking again lets the claim hold for another lease')
      const record = await recordOf(a, id)
      assert.equal(record.attempt, 1, 'asking again is no further attempt')
      assert.equal(record.duplicates, 1, 'the owner itself is no duplicate')
    },
  },
  {
    name: 'one owner asking from two connections at once gets one claim',
    async run({ a, b }) {
      const request = asks(someId())
      const replies = await Promise.all([
        a.claim(request),
        b.claim(request),
        a.claim(request),
        b.claim(request),
      ])
      const fences = new Set(
        replies.map((reply) => (reply.state === 'claimed' ? reply.claim.fence : reply.state)),
      )
      assert.equal(fences.size, 1, `one nonce is one claim, not ${[...fences].join(', ')}`)
    },
  },
  {
    name: 'an owner who asks again after its operation ended is told the end',
    async run({ a, b }) {
      const finishedId = someId()
      const request = asks(finishedId)
      const { claim } = await expectReply(a, request, 'claimed', 'the first claim is granted')
      await a.complete(claim, outcomeOf('receipt'), 60_000)
      await expectReply(b, request, 'done', 'a completed operation is done for its owner too')
      const heldId = someId()
      const other = asks(heldId)
      const second = await expectReply(a, other, 'claimed', 'the first claim is granted')
      await a.hold(second.claim, 'no reply')
      await expectReply(b, other, 'held', 'a held operation is held for its owner too')
    },
  },
  {
    name: 'a claim that arrives late, after its own operation was released, is not granted',
    async run({ a, b }) {
      const id = someId()
      const request = asks(id)
      const { claim } = await expectReply(a, request, 'claimed', 'the first claim is granted')
      await a.release(claim)
      await leavesUntouched(a, id, 'a late copy of a claim changes nothing', async () => {
        const late = await b.claim(request)
        assert.notEqual(
          late.state,
          'claimed',
          'nobody is there to run what a late copy of a claim is granted',
        )
      })
      await claimed(b, id, {}, 'another owner may run it')
    },
  },
  {
    name: 'a released operation is granted again, as the next attempt and under a greater fence',
    async run({ a, b }) {
      const id = someId()
      const first = await claimed(a, id)
      assert.equal(await a.release(first, { name: 'Error', message: 'no stock', effect: 'none' }), true)
      const record = await recordOf(b, id)
      assert.equal(record.state, 'released')
      assert.equal(record.history.at(-1)?.event, 'released')
      assert.match(record.history.at(-1)?.note ?? '', /no stock/, 'the failure is kept in the history')
      const next = asks(id, { onCrash: 'rerun', retentionMs: 7_000, leaseMs: 9_000 })
      const reply = await expectReply(b, next, 'claimed', 'a released operation may run again')
      assert.equal(reply.takenOver, false, 'a release is no lapse')
      const { onCrash, retentionMs, leaseUntil, updatedAt } = await recordOf(a, id)
      assert.deepEqual(
        [onCrash, retentionMs, leaseUntil - updatedAt],
        ['rerun', 7_000, 9_000],
        'the new claim sets the terms',
      )
      assert.equal(reply.claim.attempt, 2)
      assert.ok(reply.claim.fence > first.fence, 'each claim has a greater fence')
    },
  },
  {
    name: 'done is answered to every later claim, with outcome, attempt, fence and the time left',
    async run({ a, b }) {
      const id = someId()
      const claim = await doneBy(a, id, 'receipt 1')
      for (const store of [a, b]) {
        const reply = await expectReply(store, asks(id), 'done', 'a completed operation is done')
        assert.equal(reply.outcome.kind, 'value')
        assert.equal(reply.attempt, 1)
        assert.equal(reply.fence, claim.fence)
        assert.ok(
          reply.remainingMs > 0 && reply.remainingMs <= 3_600_000,
          'remainingMs is what is left of the retention',
        )
      }
      assert.equal((await recordOf(b, id)).duplicates, 0, 'a replay is not counted as turned away')
    },
  },
  {
    name: 'a duplicate is counted once for each caller, while running and while held',
    async run({ a, b }) {
      const id = someId()
      const claim = await claimed(a, id)
      const waiting = asks(id)
      await a.claim(waiting)
      await b.claim({ ...waiting, again: true })
      await b.claim({ ...waiting, again: true })
      await b.claim(asks(id))
      assert.equal((await recordOf(a, id)).duplicates, 2, 'asking again while waiting is not counted again')
      await a.hold(claim, 'no reply')
      await b.claim(asks(id))
      await b.claim({ ...waiting, again: true })
      assert.equal((await recordOf(a, id)).duplicates, 3, 'a caller that finds it held is counted')
    },
  },
]

/** The connection of the caller with this number: callers take turns over all connections. */
function at(stores: readonly OperationStore[], index: number): OperationStore {
  const store = stores[index % stores.length]
  assert.ok(store, 'the harness opens at least two connections')
  return store
}
