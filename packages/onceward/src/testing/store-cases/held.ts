import assert from 'node:assert/strict'
import type { OperationId } from '../../core/operation.ts'
import type { OperationCatalog, OperationStore } from '../../core/store.ts'
import {
  asks,
  claimed,
  decides,
  doneBy,
  expectReply,
  finished,
  heldBy,
  LONG_MS,
  leavesUntouched,
  outcomeOf,
  recordOf,
  sameOutcome,
  sameSteps,
  someId,
  TRANSITIONS,
} from '../case-kit.ts'
import type { StoreCase } from '../store-harness.ts'

/** Held operations: nobody runs them, and who may decide them. */
export const heldCases: readonly StoreCase<OperationStore>[] = [
  {
    name: 'a held operation tells every caller why, and nobody runs it',
    async run({ a, b }) {
      const id = someId()
      const claim = await heldBy(a, id)
      const record = await recordOf(b, id)
      assert.equal(record.state, 'held')
      assert.equal(record.heldReason, 'the connection broke')
      const reply = await expectReply(
        b,
        asks(id, { onCrash: 'rerun' }),
        'held',
        'a held operation is not rerun',
      )
      assert.equal(reply.reason, 'the connection broke')
      assert.equal(reply.fence, claim.fence)
      assert.deepEqual([reply.asks, reply.mayAskInMs], [0, 0], 'somebody may be asked at once')
    },
  },
  {
    name: 'a held operation can be resolved as done, with a value or a failure, and is replayed from then on',
    async run({ a, b }) {
      const failure = { name: 'Declined', message: 'no funds', effect: 'none' } as const
      for (const outcome of [outcomeOf('found'), { kind: 'failure', failure } as const]) {
        const id = someId()
        const { fence } = await heldBy(a, id)
        const reply = await b.resolve({ digest: id.digest }, decides(fence, { state: 'done', outcome }))
        assert.equal(reply.state, 'resolved', 'a held operation can be decided')
        const record = await recordOf(a, id)
        if (reply.state === 'resolved') assert.deepEqual(reply.record, record, 'the reply is the record')
        assert.equal(record.state, 'done')
        assert.equal(record.heldReason, undefined, 'a decided operation is no longer held for a reason')
        assert.equal(record.owner, undefined, 'a decided operation belongs to no owner')
        assert.equal(record.history.at(-1)?.event, 'resolved')
        assert.match(record.history.at(-1)?.note ?? '', /ada.*looked it up/, 'the history tells who and why')
        const replay = await expectReply(a, asks(id), 'done', 'a decided operation is replayed')
        sameOutcome(replay.outcome, outcome, 'with the decided outcome')
        assert.equal(replay.fence, fence)
      }
    },
  },
  {
    name: 'a held operation resolved as released runs again: greater fence, next attempt, finished steps kept',
    async run({ a, b }) {
      const id = someId()
      const first = await claimed(a, id)
      const charge = finished('charge', 'receipt')
      await a.checkpoint(first, charge)
      await a.checkpoint(first, { name: 'mail', state: 'started', onCrash: 'hold' })
      await a.hold(first, 'no reply')
      const reply = await b.resolve(id, decides(first.fence, { state: 'released' }))
      assert.equal(reply.state, 'resolved')
      sameSteps(
        (await recordOf(a, id)).steps,
        [charge],
        'finished steps are kept, started ones did not happen',
      )
      const next = await expectReply(a, asks(id), 'claimed', 'a released operation may run again')
      sameSteps(next.steps, [charge], 'the next attempt gets the finished steps')
      assert.equal(next.claim.attempt, 2)
      assert.equal(next.takenOver, false)
      assert.ok(next.claim.fence > first.fence, 'the fence is greater')
    },
  },
  {
    name: 'resolve under another fence, or of what is not held, is a conflict and changes nothing',
    async run({ a, b }) {
      const held = someId()
      const { fence } = await heldBy(a, held)
      const running = someId()
      const claim = await claimed(a, running)
      const done = someId()
      const end = await doneBy(a, done)
      const released = someId()
      const given = await claimed(a, released)
      await a.release(given)
      const attempts: readonly (readonly [OperationId, number, string, number])[] = [
        [held, fence - 1, 'held', fence],
        [held, fence + 1, 'held', fence],
        [running, claim.fence, 'running', claim.fence],
        [done, end.fence, 'done', end.fence],
        [released, given.fence, 'released', given.fence],
      ]
      for (const [id, seen, found, actual] of attempts) {
        for (const as of [{ state: 'released' }, { state: 'done', outcome: outcomeOf('found') }] as const) {
          await leavesUntouched(a, id, `a conflict leaves what is ${found} untouched`, async () => {
            const reply = await b.resolve(id, decides(seen, as))
            assert.deepEqual(
              reply,
              { state: 'conflict', found, fence: actual },
              `resolve needs a held operation and the fence seen`,
            )
          })
        }
      }
      const absent = await b.resolve(someId(), decides(1, { state: 'released' }))
      assert.deepEqual(absent, { state: 'absent' }, 'an absent operation cannot be decided')
    },
  },
  {
    name: 'of many concurrent resolves one decides',
    async run({ a, b }) {
      const id = someId()
      const { fence } = await heldBy(a, id)
      const replies = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 ? a : b).resolve(id, decides(fence, { state: 'done', outcome: outcomeOf(`${index}`) })),
        ),
      )
      const decided = replies.filter((reply) => reply.state === 'resolved').length
      assert.equal(decided, 1, `exactly one of 20 concurrent decisions stands, not ${decided}`)
    },
  },
  {
    name: 'a resolve needs an actor and a reason of at most 500 characters',
    async run({ a, b }) {
      const id = someId()
      const { fence } = await heldBy(a, id)
      await leavesUntouched(a, id, 'a refused decision changes nothing', async () => {
        for (const over of [
          { actor: '' },
          { actor: ' ' },
          { reason: '' },
          { reason: '\n' },
          { reason: 'x'.repeat(501) },
        ]) {
          await assert.rejects(
            async () => b.resolve(id, decides(fence, { state: 'released' }, over)),
            TypeError,
          )
        }
      })
    },
  },
  {
    name: 'a decision as done is remembered as long as it says, or as long as the claim asked',
    async run({ a, b }) {
      const said = someId()
      const first = await heldBy(a, said, { retentionMs: 70_000 })
      const as = { state: 'done', outcome: outcomeOf('found') } as const
      await b.resolve(said, decides(first.fence, as, { retentionMs: 90_000 }))
      const one = await recordOf(a, said)
      assert.equal(one.expiresAt, one.updatedAt + 90_000, 'the decision says how long')
      const unsaid = someId()
      const second = await heldBy(a, unsaid, { retentionMs: 70_000 })
      await b.resolve(unsaid, decides(second.fence, as))
      const other = await recordOf(a, unsaid)
      assert.equal(other.expiresAt, other.updatedAt + 70_000, 'the claim asked how long')
    },
  },
  {
    name: 'held never becomes done, or anything else, without a resolve (I9)',
    timeoutMs: 60_000,
    async run({ a, b, unitMs, pass }) {
      const byOwner = someId()
      const byLapse = someId()
      const claims = [await heldBy(a, byOwner, { onCrash: 'rerun', retentionMs: 1 })]
      claims.push(await claimed(a, byLapse, { leaseMs: unitMs, retentionMs: 1 }))
      await pass(unitMs)
      await expectReply(b, asks(byLapse), 'held', 'a lapsed hold is held')
      for (const claim of claims) {
        for (const store of [a, b]) {
          for (const transition of Object.values(TRANSITIONS)) await transition(store, claim)
          await store.claim(asks(claim.id, { onCrash: 'rerun', owner: claim.owner }))
          await store.takeTurn(claim.id, { fence: claim.fence, asks: 0, quietMs: LONG_MS, holding: false })
          await pass(unitMs)
          if (!store.capabilities.listing) continue
          const catalog = store as OperationStore & OperationCatalog
          await catalog.sweep()
          await catalog.purge()
        }
        const record = await recordOf(b, claim.id)
        assert.equal(record.state, 'held', 'held never becomes anything else without a resolve')
        assert.equal(record.fence, claim.fence, 'a held operation keeps its fence')
        assert.equal(record.outcome, undefined, 'a held operation has no outcome')
      }
    },
  },
]
