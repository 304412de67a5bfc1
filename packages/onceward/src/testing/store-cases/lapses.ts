import assert from 'node:assert/strict'
import type { OperationCatalog, OperationStore } from '../../core/store.ts'
import {
  asks,
  claimed,
  decides,
  doneBy,
  expectReply,
  finished,
  LONG_MS,
  outcomeOf,
  recordOf,
  sameSteps,
  someId,
} from '../case-kit.ts'
import { type StoreCase, unlessListing } from '../store-harness.ts'

/** What becomes of a claim that lapses: taken over, or held; and that neither comes early. */
export const lapseCases: readonly StoreCase<OperationStore>[] = [
  {
    name: 'a lapsed claim with rerun is taken over: greater fence, next attempt, finished steps kept, started ones dropped',
    async run({ a, b, unitMs, pass }) {
      const id = someId()
      const first = await claimed(a, id, { leaseMs: unitMs, onCrash: 'rerun' })
      const charge = finished('charge', 'receipt 1')
      await a.checkpoint(first, charge)
      await a.checkpoint(first, { name: 'mail', state: 'started', onCrash: 'rerun' })
      await pass(unitMs)
      const reply = await expectReply(
        b,
        asks(id, { onCrash: 'rerun' }),
        'claimed',
        'a lapsed rerun is taken over',
      )
      assert.equal(reply.takenOver, true, 'the new owner is told that an earlier claim lapsed')
      assert.equal(reply.claim.attempt, 2, 'a takeover is the next attempt')
      assert.ok(reply.claim.fence > first.fence, 'a takeover has a greater fence')
      sameSteps(reply.steps, [charge], 'finished steps are kept at a takeover, started ones are dropped')
      const record = await recordOf(a, id)
      sameSteps(record.steps, [charge], 'the record holds the finished steps only')
      assert.equal(record.history.at(-1)?.event, 'taken-over', 'the history tells the takeover')
      const again = await expectReply(a, asks(id, { owner: reply.claim.owner }), 'claimed', 'the same nonce')
      assert.equal(again.takenOver, true, 'asked again, a takeover is still told as one')
    },
  },
  {
    name: 'a lapsed claim with hold is found held by the next claim, and by every later one',
    async run({ a, b, unitMs, pass }) {
      const id = someId()
      const first = await claimed(a, id, { leaseMs: unitMs, onCrash: 'hold' })
      await pass(unitMs)
      for (const store of [b, a]) {
        const reply = await expectReply(
          store,
          asks(id, { onCrash: 'rerun' }),
          'held',
          'a lapsed hold is held, never rerun',
        )
        assert.equal(reply.fence, first.fence, 'held under the fence of the lapsed claim')
        assert.equal(reply.attempt, 1)
        assert.equal(reply.asks, 0, 'nobody was asked yet')
        assert.equal(reply.mayAskInMs, 0, 'somebody may be asked at once')
        assert.match(reply.reason, /lapsed/, 'the reason tells the lapse')
      }
      const record = await recordOf(b, id)
      assert.equal(record.state, 'held')
      assert.equal(record.owner, undefined, 'a lapsed claim has no owner')
      assert.equal(record.duplicates, 2)
    },
  },
  {
    name: 'a lapsed claim with hold is found held by the sweeper, which leaves everything else',
    unless: unlessListing,
    async run({ a, b, unitMs, pass }) {
      const lapsed = someId()
      await claimed(a, lapsed, { leaseMs: unitMs })
      const rerun = someId()
      await claimed(a, rerun, { leaseMs: unitMs, onCrash: 'rerun' })
      const running = someId()
      await claimed(a, running)
      const catalog = b as OperationStore & OperationCatalog
      await pass(unitMs)
      assert.equal(await catalog.sweep(), 1, 'only the lapsed hold is swept')
      assert.equal((await recordOf(a, lapsed)).state, 'held', 'a swept claim is held')
      assert.equal(
        (await recordOf(a, rerun)).state,
        'running',
        'a lapsed rerun is left to whoever takes it over',
      )
      assert.equal((await recordOf(a, running)).state, 'running', 'a claim that holds is left alone')
    },
  },
  {
    name: 'a lapsed claim with hold can be resolved before anybody found it held',
    async run({ a, b, unitMs, pass }) {
      const id = someId()
      const first = await claimed(a, id)
      const early = await b.resolve(id, decides(first.fence, { state: 'released' }))
      if (early.state !== 'conflict') assert.fail(`a running operation is not ${early.state}`)
      assert.equal(early.found, 'running', 'a claim that holds cannot be resolved')
      await a.renew(first, unitMs)
      await pass(unitMs)
      const reply = await b.resolve(id, decides(first.fence, { state: 'done', outcome: outcomeOf('found') }))
      assert.equal(reply.state, 'resolved', 'a lapsed hold is held for the resolver too')
      const events = (await recordOf(a, id)).history.map((entry) => entry.event)
      assert.deepEqual(events, ['claimed', 'held', 'resolved'], 'the history tells that it was held')
    },
  },
  {
    name: 'the policy of the owner decides about its lapse, not the policy of whoever finds it',
    async run({ a, b, unitMs, pass }) {
      const careful = someId()
      await claimed(a, careful, { leaseMs: unitMs, onCrash: 'hold' })
      const carefree = someId()
      await claimed(a, carefree, { leaseMs: unitMs, onCrash: 'rerun' })
      await pass(unitMs)
      await expectReply(b, asks(careful, { onCrash: 'rerun' }), 'held', 'the record’s own hold wins')
      await claimed(b, carefree, { onCrash: 'hold' }, 'the record’s own rerun wins')
      assert.equal(
        (await recordOf(b, carefree)).onCrash,
        'hold',
        'the new owner’s policy is stored with its claim',
      )
    },
  },
  {
    name: 'a started step with hold makes a lapsed rerun held; a started rerun step or a finished one does not',
    async run({ a, b, unitMs, pass }) {
      const over = { leaseMs: unitMs, onCrash: 'rerun' } as const
      const inside = someId()
      await a.checkpoint(await claimed(a, inside, over), {
        name: 'charge',
        state: 'started',
        onCrash: 'hold',
      })
      const harmless = someId()
      await a.checkpoint(await claimed(a, harmless, over), {
        name: 'mail',
        state: 'started',
        onCrash: 'rerun',
      })
      const past = someId()
      const claim = await claimed(a, past, over)
      await a.checkpoint(claim, { name: 'charge', state: 'started', onCrash: 'hold' })
      await a.checkpoint(claim, finished('charge', 'receipt', 'hold'))
      await pass(unitMs)
      const held = await expectReply(
        b,
        asks(inside, { onCrash: 'rerun' }),
        'held',
        'a crash inside a hold step is held',
      )
      assert.match(held.reason, /charge/, 'the reason names the step')
      await claimed(b, harmless, {}, 'a crash inside a rerun step is taken over')
      await claimed(b, past, {}, 'a crash after a hold step is taken over')
    },
  },
  {
    name: 'a claim is not taken over, held or swept before its lease has lapsed (I12)',
    async run({ a, b, unitMs, longMs, exactTime, pass, stores }) {
      const leaseMs = exactTime ? unitMs : longMs
      const rerun = someId()
      const hold = someId()
      await claimed(a, rerun, { leaseMs, onCrash: 'rerun' })
      await claimed(a, hold, { leaseMs, onCrash: 'hold' })
      await pass(unitMs - 1)
      for (const store of stores) {
        for (const id of [rerun, hold]) {
          const reply = await expectReply(
            store,
            asks(id),
            'running',
            'no takeover before the lease has lapsed',
          )
          assert.ok(
            reply.remainingMs > 0 && reply.remainingMs <= leaseMs,
            'remainingMs is what is left of the lease',
          )
          assert.equal(reply.attempt, 1)
        }
        if (store.capabilities.listing) {
          assert.equal(
            await (store as OperationStore & OperationCatalog).sweep(),
            0,
            'nothing has lapsed yet',
          )
        }
      }
      if (!exactTime) return
      await pass(1)
      await claimed(b, rerun, {}, 'at the end of the lease the claim has lapsed')
      await expectReply(b, asks(hold), 'held', 'at the end of the lease the claim has lapsed')
    },
  },
  {
    name: 'renew prolongs the lease from now',
    async run({ a, b, unitMs, pass }) {
      const id = someId()
      const claim = await claimed(a, id, { leaseMs: unitMs, onCrash: 'rerun' })
      assert.equal(await b.renew(claim, LONG_MS), true)
      await pass(unitMs * 2)
      const reply = await expectReply(b, asks(id), 'running', 'a renewed claim holds beyond its first lease')
      assert.ok(reply.remainingMs <= LONG_MS - unitMs, 'the lease runs from the renewal')
      assert.equal(await a.renew(claim, unitMs), true)
      await pass(unitMs)
      await claimed(b, id, {}, 'a renewed claim lapses at the end of its new lease')
    },
  },
  {
    name: 'a lapsed claim that nobody has taken can still be renewed and completed',
    async run({ a, b, unitMs, pass }) {
      for (const onCrash of ['hold', 'rerun'] as const) {
        const id = someId()
        const claim = await claimed(a, id, { leaseMs: unitMs, onCrash })
        await pass(unitMs)
        assert.equal(await a.renew(claim, LONG_MS), true, 'nobody else ran: the lapsed claim is renewed')
        await expectReply(b, asks(id), 'running', 'a renewed claim holds again')
        const late = someId()
        const other = await claimed(a, late, { leaseMs: unitMs, onCrash })
        await pass(unitMs)
        assert.equal(
          await a.complete(other, outcomeOf('late'), LONG_MS),
          true,
          'nobody else ran: the outcome is accepted',
        )
        await expectReply(b, asks(late), 'done', 'the late outcome stands')
      }
    },
  },
  {
    name: 'of 50 concurrent claims of a lapsed rerun one takes over; of a lapsed hold none does',
    async run({ a, b, unitMs, pass }) {
      const rerun = someId()
      const hold = someId()
      await claimed(a, rerun, { leaseMs: unitMs, onCrash: 'rerun' })
      await claimed(a, hold, { leaseMs: unitMs, onCrash: 'hold' })
      await pass(unitMs)
      const askAll = (id: typeof rerun) =>
        Promise.all(
          Array.from({ length: 50 }, (_, index) => (index % 2 ? a : b).claim(asks(id, { onCrash: 'rerun' }))),
        )
      const [overtaking, holding] = await Promise.all([askAll(rerun), askAll(hold)])
      const winners = overtaking.filter((reply) => reply.state === 'claimed').length
      assert.equal(winners, 1, `exactly one of 50 takes a lapsed claim over, not ${winners}`)
      assert.deepEqual(
        new Set(holding.map((reply) => reply.state)),
        new Set(['held']),
        'a lapsed hold is held for all',
      )
      const events = (await recordOf(b, hold)).history.map((entry) => entry.event)
      assert.deepEqual(events, ['claimed', 'held'], 'it becomes held once')
    },
  },
  {
    name: 'a takeover and a late completion at the same moment: one of them happens',
    timeoutMs: 60_000,
    async run({ a, b, unitMs, pass }) {
      for (let round = 0; round < 5; round++) {
        const id = someId()
        const claim = await claimed(a, id, { leaseMs: unitMs, onCrash: 'rerun' })
        await pass(unitMs)
        const [completed, reply] = await Promise.all([
          a.complete(claim, outcomeOf('late'), LONG_MS),
          b.claim(asks(id)),
        ])
        assert.equal(
          reply.state,
          completed ? 'done' : 'claimed',
          'either the late outcome stands or the new owner runs, never both and never neither',
        )
      }
    },
  },
  {
    name: 'a crash at any point leaves an operation that the next caller can judge',
    async run({ a, b, unitMs, pass }) {
      const over = { leaseMs: unitMs, onCrash: 'rerun' } as const
      const afterClaim = someId()
      await claimed(a, afterClaim, over)
      const afterStep = someId()
      await a.checkpoint(await claimed(a, afterStep, over), finished('charge', 'receipt'))
      const afterRelease = someId()
      await a.release(await claimed(a, afterRelease, over))
      const afterComplete = someId()
      await doneBy(a, afterComplete, 'receipt', { onCrash: 'rerun' })
      await pass(unitMs)
      const states = []
      for (const id of [afterClaim, afterStep, afterRelease, afterComplete])
        states.push((await b.claim(asks(id))).state)
      assert.deepEqual(
        states,
        ['claimed', 'claimed', 'claimed', 'done'],
        'no crash blocks an operation for good',
      )
    },
  },
]
