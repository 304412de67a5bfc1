import assert from 'node:assert/strict'
import type { Claim, OperationId } from '../../core/operation.ts'
import type { OperationStore } from '../../core/store.ts'
import {
  claimed,
  decides,
  doneBy,
  finished,
  heldBy,
  leavesUntouched,
  nonce,
  outcomeOf,
  recordOf,
  sameOutcome,
  someId,
  TRANSITIONS,
} from '../case-kit.ts'
import { faultPoints } from '../fault-points.ts'
import type { Rig, StoreCase } from '../store-harness.ts'

type Method = keyof typeof TRANSITIONS
const METHODS = Object.keys(TRANSITIONS) as readonly Method[]

/** A way to lose a claim: answers the lost one, and the repetition that is still the owner's own answer. */
interface Loss {
  readonly when: string
  readonly repeats?: Method
  lose(rig: Rig<OperationStore>, id: OperationId): Promise<Claim>
}

const LOSSES: readonly Loss[] = [
  {
    when: 'was taken over',
    async lose({ a, b, unitMs, pass }, id) {
      const stale = await claimed(a, id, { leaseMs: unitMs, onCrash: 'rerun' })
      await pass(unitMs)
      await claimed(b, id, { onCrash: 'rerun' }, 'a lapsed claim may be taken over')
      return stale
    },
  },
  {
    when: 'was taken over and completed by another',
    async lose({ a, b, unitMs, pass }, id) {
      const stale = await claimed(a, id, { leaseMs: unitMs, onCrash: 'rerun' })
      await pass(unitMs)
      await b.complete(await claimed(b, id), outcomeOf('the other receipt'), 3_600_000)
      return stale
    },
  },
  { when: 'was held by its owner', repeats: 'hold', lose: ({ a }, id) => heldBy(a, id) },
  {
    when: 'became held by a lapse',
    async lose({ a, b, unitMs, pass }, id) {
      const stale = await claimed(a, id, { leaseMs: unitMs })
      await pass(unitMs)
      assert.equal((await b.claim({ ...asksAgain(id) })).state, 'held', 'a lapsed hold is held')
      return stale
    },
  },
  {
    when: 'was held and resolved as done',
    async lose({ a, b }, id) {
      const stale = await heldBy(a, id)
      await b.resolve(id, decides(stale.fence, { state: 'done', outcome: outcomeOf('found') }))
      return stale
    },
  },
  {
    when: 'was held and resolved as released',
    async lose({ a, b }, id) {
      const stale = await heldBy(a, id)
      await b.resolve(id, decides(stale.fence, { state: 'released' }))
      return stale
    },
  },
  {
    when: 'was released',
    repeats: 'release',
    async lose({ a }, id) {
      const stale = await claimed(a, id)
      await a.release(stale)
      return stale
    },
  },
  {
    when: 'was released and claimed by another',
    async lose({ a, b }, id) {
      const stale = await claimed(a, id)
      await a.release(stale)
      await claimed(b, id)
      return stale
    },
  },
  { when: 'was completed', repeats: 'complete', lose: ({ a }, id) => doneBy(a, id) },
]

const afterLoss = LOSSES.map(
  ({ when, repeats, lose }): StoreCase<OperationStore> => ({
    name: `an owner whose operation ${when} changes nothing and is told so`,
    async run(rig) {
      const id = someId()
      const stale = await lose(rig, id)
      for (const store of [rig.a, rig.b]) {
        for (const method of METHODS) {
          await leavesUntouched(
            rig.b,
            id,
            `${method} by an owner whose operation ${when} changes nothing`,
            async () => {
              const answer = await TRANSITIONS[method](store, stale)
              assert.equal(
                answer,
                method === repeats,
                `${method} by an owner whose operation ${when} answers ${method === repeats}`,
              )
            },
          )
        }
      }
    },
  }),
)

const wrongPart = METHODS.map(
  (method): StoreCase<OperationStore> => ({
    name: `${method} needs the owner and the fence of the claim, both`,
    async run({ a, b }) {
      const id = someId()
      const claim = await claimed(a, id)
      const wrong: Readonly<Record<string, Claim>> = {
        'another owner': { ...claim, owner: nonce() },
        'a smaller fence': { ...claim, fence: claim.fence - 1 },
        'a greater fence': { ...claim, fence: claim.fence + 1 },
        'another owner and fence': { ...claim, owner: nonce(), fence: claim.fence + 1 },
      }
      for (const [which, other] of Object.entries(wrong)) {
        await leavesUntouched(a, id, `${method} with ${which} changes nothing`, async () => {
          assert.equal(await TRANSITIONS[method](b, other), false, `${method} with ${which} is refused`)
        })
      }
      assert.equal(
        await TRANSITIONS[method](b, claim),
        true,
        `${method} by the owner is accepted on any connection`,
      )
      for (const [which, other] of Object.entries(wrong)) {
        await leavesUntouched(a, id, `${method} repeated with ${which} changes nothing`, async () => {
          assert.equal(
            await TRANSITIONS[method](b, other),
            false,
            `${method} repeated with ${which} is refused`,
          )
        })
      }
      const absent = someId()
      assert.equal(
        await TRANSITIONS[method](a, { ...claim, id: absent }),
        false,
        `${method} of an absent operation is refused`,
      )
      assert.equal(await b.get(absent), undefined, `${method} of an absent operation makes no record`)
    },
  }),
)

/** What a claim can still do, and can no longer do, once it is lost or ended. */
export const staleOwnerCases: readonly StoreCase<OperationStore>[] = [
  ...afterLoss,
  ...wrongPart,
  ...(['complete', 'release', 'hold'] as const).map(
    (method): StoreCase<OperationStore> => ({
      name: `${method} repeated after its reply was lost answers true and changes nothing more`,
      async run({ a, b }) {
        const id = someId()
        const claim = await claimed(a, id)
        const faulty = faultPoints(a, { [`${method}:after`]: [{ do: 'throw' }] })
        await assert.rejects(TRANSITIONS[method](faulty.store, claim), /connection/, 'the reply is lost')
        assert.equal(faulty.fired(`${method}:after`), 1)
        await leavesUntouched(b, id, `${method} repeated changes nothing more`, async () => {
          assert.equal(
            await TRANSITIONS[method](faulty.store, claim),
            true,
            `${method} repeated answers true`,
          )
          assert.equal(await TRANSITIONS[method](b, claim), true, `${method} repeated elsewhere answers true`)
        })
      },
    }),
  ),
  {
    name: 'a done operation keeps its first outcome, whoever completes it again',
    async run({ a, b }) {
      const id = someId()
      const claim = await claimed(a, id)
      await a.complete(claim, outcomeOf('first'), 3_600_000)
      await b.complete(claim, outcomeOf('second'), 1)
      const record = await recordOf(b, id)
      sameOutcome(record.outcome, outcomeOf('first'), 'done is never overwritten')
      assert.equal(record.retentionMs, 3_600_000, 'a repeated complete does not change the retention')
    },
  },
  {
    name: 'of one owner’s concurrent complete, release and hold exactly one takes effect',
    async run({ a, b }) {
      for (let round = 0; round < 10; round++) {
        const id = someId()
        const claim = await claimed(a, id)
        const answers = await Promise.all([
          a.complete(claim, outcomeOf('receipt'), 3_600_000),
          b.release(claim),
          a.hold(claim, 'no reply'),
        ])
        const ends = (['done', 'released', 'held'] as const).filter((_, index) => answers[index])
        assert.equal(
          ends.length,
          1,
          `exactly one of complete, release and hold takes effect, not ${ends.join(' and ')}`,
        )
        assert.equal((await recordOf(b, id)).state, ends[0], 'the answer true tells the state')
      }
    },
  },
  {
    name: 'of 20 concurrent completions by one owner one outcome stays, and each is told true',
    async run({ a, b }) {
      const id = someId()
      const claim = await claimed(a, id)
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 ? a : b).complete(claim, outcomeOf(`${index}`), 3_600_000),
        ),
      )
      assert.deepEqual(new Set(answers), new Set([true]), 'the owner’s own completion is always true')
      const events = (await recordOf(a, id)).history.map((entry) => entry.event)
      assert.deepEqual(events, ['claimed', 'completed'], 'one completion takes effect')
    },
  },
  {
    name: 'a finished step stays finished with its first value',
    async run({ a, b }) {
      const id = someId()
      const claim = await claimed(a, id)
      const first = finished('charge', 'receipt 1')
      assert.equal(await a.checkpoint(claim, first), true)
      assert.equal(
        await b.checkpoint(claim, finished('charge', 'receipt 2')),
        true,
        'repeating it is harmless',
      )
      assert.equal(await b.checkpoint(claim, { name: 'charge', state: 'started', onCrash: 'hold' }), true)
      const { steps } = await recordOf(b, id)
      assert.deepEqual(
        steps.map((step) => [step.name, step.state, Buffer.from(step.value ?? []).toString()]),
        [['charge', 'done', 'receipt 1']],
      )
    },
  },
]

function asksAgain(id: OperationId) {
  return {
    id,
    owner: nonce(),
    leaseMs: 3_600_000,
    retentionMs: 3_600_000,
    onCrash: 'hold' as const,
    again: true,
  }
}
