import assert from 'node:assert/strict'
import type { Failure, Outcome } from '../../core/operation.ts'
import type { OperationStore } from '../../core/store.ts'
import {
  asks,
  claimed,
  expectReply,
  finished,
  LONG_MS,
  outcomeOf,
  recordOf,
  sameOutcome,
  sameSteps,
  someId,
} from '../case-kit.ts'
import type { StoreCase } from '../store-harness.ts'

/** What is stored comes back as it was, and belongs to whoever asked. */
export const outcomeCases: readonly StoreCase<OperationStore>[] = [
  {
    name: 'a value comes back byte for byte: empty, every byte, text, a view into a larger buffer, 1 MiB',
    async run({ a, b }) {
      const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte)
      const large = new Uint8Array(1_048_576).map((_, index) => (index * 31) & 255)
      const values: Readonly<Record<string, Uint8Array>> = {
        empty: new Uint8Array(0),
        everyByte,
        text: new TextEncoder().encode('a "quoted" \\ 🧾 \u0000 line\r\n'),
        view: everyByte.subarray(13, 77),
        buffer: Buffer.from('pooled'),
        large,
      }
      for (const [name, value] of Object.entries(values)) {
        const id = someId()
        assert.equal(await a.complete(await claimed(a, id), { kind: 'value', value }, LONG_MS), true)
        const reply = await expectReply(b, asks(id), 'done', 'a completed operation is done')
        sameOutcome(reply.outcome, { kind: 'value', value }, `the ${name} value comes back byte for byte`)
        assert.ok(
          reply.outcome.kind === 'value' && reply.outcome.value instanceof Uint8Array,
          'bytes are a Uint8Array',
        )
        sameOutcome(
          (await recordOf(b, id)).outcome,
          { kind: 'value', value },
          `the ${name} value is in the record`,
        )
      }
    },
  },
  {
    name: 'a failure comes back with all its fields, and is told apart in the history',
    async run({ a, b }) {
      const failures: readonly Failure[] = [
        {
          name: 'CardDeclined',
          message: 'no — “insufficient” 💳 \u0000',
          code: 'card_declined',
          effect: 'none',
        },
        { name: 'Error', message: '', effect: 'unknown' },
        { name: '__proto__', message: 'constructor', effect: 'done' },
      ]
      for (const failure of failures) {
        const id = someId()
        const outcome: Outcome = { kind: 'failure', failure }
        await a.complete(await claimed(a, id), outcome, LONG_MS)
        const reply = await expectReply(b, asks(id), 'done', 'a final failure is done')
        sameOutcome(reply.outcome, outcome, 'every field of a failure comes back, absent ones absent')
        assert.equal(
          (await recordOf(b, id)).history.at(-1)?.event,
          'failed',
          'the history tells a failure from a value',
        )
      }
    },
  },
  {
    name: 'an outcome that cannot be replayed comes back with its reason and its note',
    async run({ a, b }) {
      const outcomes: readonly Outcome[] = [
        { kind: 'unreplayable', reason: 'larger than 1 MiB', note: new Uint8Array([0, 1, 254, 255]) },
        { kind: 'unreplayable', reason: 'a function cannot be stored' },
      ]
      for (const outcome of outcomes) {
        const id = someId()
        await a.complete(await claimed(a, id), outcome, LONG_MS)
        const reply = await expectReply(b, asks(id), 'done', 'done, and never rerun')
        sameOutcome(reply.outcome, outcome, 'reason and note come back')
      }
    },
  },
  {
    name: 'steps come back with their values, in the order in which they were begun',
    async run({ a, b }) {
      const id = someId()
      const claim = await claimed(a, id, { onCrash: 'rerun' })
      const steps = [
        finished('charge', 'receipt 1'),
        { name: '__proto__', state: 'done', onCrash: 'rerun', value: new Uint8Array(0) } as const,
        { name: 'mail “ß” 📨', state: 'done', onCrash: 'rerun' } as const,
        finished('constructor', 'x', 'rerun'),
      ]
      for (const step of steps) {
        await a.checkpoint(claim, { name: step.name, state: 'started', onCrash: step.onCrash })
        assert.equal(await b.checkpoint(claim, step), true)
      }
      sameSteps((await recordOf(b, id)).steps, steps, 'every step comes back')
      await a.release(claim)
      const reply = await expectReply(b, asks(id), 'claimed', 'a released operation may run again')
      sameSteps(reply.steps, steps, 'the next attempt gets the finished steps')
      await b.complete(reply.claim, outcomeOf('receipt'), LONG_MS)
      assert.deepEqual((await recordOf(a, id)).steps, [], 'an ended operation needs no steps any more')
    },
  },
  {
    name: 'concurrent checkpoints of one claim are all kept',
    async run({ a, b }) {
      const id = someId()
      const claim = await claimed(a, id)
      const names = Array.from({ length: 20 }, (_, index) => `step ${index}`)
      await Promise.all(
        names.map((name, index) => (index % 2 ? a : b).checkpoint(claim, finished(name, name))),
      )
      const { steps } = await recordOf(b, id)
      assert.deepEqual(new Set(steps.map((step) => step.name)), new Set(names), 'no step is lost to another')
    },
  },
  {
    name: 'changing the bytes handed in, after the call, changes nothing that is stored',
    async run({ a, b }) {
      const id = someId()
      const claim = await claimed(a, id)
      const part = new TextEncoder().encode('part')
      await a.checkpoint(claim, { name: 'part', state: 'done', onCrash: 'hold', value: part })
      part.fill(0)
      sameSteps((await recordOf(b, id)).steps, [finished('part', 'part')], 'a stored step is a copy')
      const value = new TextEncoder().encode('receipt')
      await a.complete(claim, { kind: 'value', value }, LONG_MS)
      value.fill(0)
      sameOutcome((await recordOf(b, id)).outcome, outcomeOf('receipt'), 'a stored outcome is a copy')
    },
  },
  {
    name: 'changing an answer changes nobody else’s: every answer is a copy',
    async run({ a }) {
      const id = someId()
      const claim = await claimed(a, id)
      await a.checkpoint(claim, finished('part', 'part'))
      spoil(await a.get(id))
      sameSteps((await recordOf(a, id)).steps, [finished('part', 'part')], 'a read record is a copy')
      const again = await a.claim(asks(id, { owner: claim.owner }))
      spoil(again)
      sameSteps((await recordOf(a, id)).steps, [finished('part', 'part')], 'the steps of a claim are copies')
      assert.equal(await a.complete(claim, outcomeOf('receipt'), LONG_MS), true, 'the record is as it was')
      const first = await expectReply(a, asks(id), 'done', 'done')
      const second = await expectReply(a, asks(id), 'done', 'done')
      spoil(first)
      sameOutcome(second.outcome, outcomeOf('receipt'), 'two duplicates share no bytes')
      sameOutcome(
        (await recordOf(a, id)).outcome,
        outcomeOf('receipt'),
        'a replay shares no bytes with the record',
      )
      spoil(await a.get(id))
      const [one, other] = await Promise.all([a.get(id), a.get(id)])
      spoil(one)
      sameOutcome(other?.outcome, outcomeOf('receipt'), 'two who read at the same time share no bytes')
      const record = await recordOf(a, id)
      sameOutcome(record.outcome, outcomeOf('receipt'), 'a read outcome is a copy')
      assert.equal(record.history.length, 2, 'a read history is a copy')
      assert.equal(record.state, 'done')
    },
  },
]

/** Overwrites everything that can be reached: bytes, lists and fields. */
function spoil(answer: unknown): void {
  if (answer instanceof Uint8Array) {
    answer.fill(0)
  } else if (Array.isArray(answer)) {
    for (const item of answer) spoil(item)
    tryTo(() => answer.splice(0))
  } else if (typeof answer === 'object' && answer !== null) {
    for (const [name, field] of Object.entries(answer)) {
      spoil(field)
      if (typeof field !== 'object') tryTo(() => Reflect.set(answer, name, 'spoilt'))
    }
  }
}

/** A frozen answer is as good as a copy. */
function tryTo(act: () => void): void {
  try {
    act()
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
  }
}
