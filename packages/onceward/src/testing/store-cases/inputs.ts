import assert from 'node:assert/strict'
import type { OperationStore } from '../../core/store.ts'
import { asks, claimed, doneBy, expectReply, finished, heldBy, recordOf, someId } from '../case-kit.ts'
import type { StoreCase } from '../store-harness.ts'

/** One key belongs to one input. */
export const inputCases: readonly StoreCase<OperationStore>[] = [
  {
    name: 'a mismatch is told before anything else and leaves the record untouched',
    async run({ a, b, unitMs, pass }) {
      const fingerprint = 'first input'
      const running = someId()
      await claimed(a, running, { fingerprint })
      const done = someId()
      await doneBy(a, done, 'receipt', { fingerprint })
      const held = someId()
      await heldBy(a, held, { fingerprint })
      const lapsedHold = someId()
      await claimed(a, lapsedHold, { fingerprint, leaseMs: unitMs, onCrash: 'hold' })
      const lapsedRerun = someId()
      await claimed(a, lapsedRerun, { fingerprint, leaseMs: unitMs, onCrash: 'rerun' })
      await pass(unitMs)
      for (const [name, id] of Object.entries({ running, done, held, lapsedHold, lapsedRerun })) {
        const before = await b.get(id)
        const reply = await b.claim(asks(id, { fingerprint: 'second input' }))
        assert.equal(reply.state, 'reused', `another input is a mismatch while the operation is ${name}`)
        assert.deepEqual(
          await b.get(id),
          before,
          `a mismatch leaves the record untouched while it is ${name}`,
        )
      }
    },
  },
  {
    name: 'a fingerprint that either side leaves out is not compared',
    async run({ a, b }) {
      const without = someId()
      await claimed(a, without)
      await expectReply(b, asks(without, { fingerprint: 'any' }), 'running', 'the record has no fingerprint')
      const withOne = someId()
      await doneBy(a, withOne, 'receipt', { fingerprint: 'one' })
      await expectReply(b, asks(withOne), 'done', 'the request has no fingerprint')
      assert.equal((await recordOf(b, withOne)).fingerprint, 'one', 'a request without one does not erase it')
    },
  },
  {
    name: 'a released operation without finished steps accepts another input, one with finished steps does not',
    async run({ a, b }) {
      const free = someId()
      await a.release(await claimed(a, free, { fingerprint: 'one' }))
      await claimed(b, free, { fingerprint: 'two' }, 'nothing happened, so another input may use the key')
      assert.equal(
        (await recordOf(a, free)).fingerprint,
        'two',
        'the record takes the fingerprint of the new claim',
      )
      const begun = someId()
      const claim = await claimed(a, begun, { fingerprint: 'one' })
      await a.checkpoint(claim, finished('charge', 'receipt'))
      await a.release(claim)
      const other = await b.claim(asks(begun, { fingerprint: 'two' }))
      assert.equal(other.state, 'reused', 'finished steps belong to the first input')
      await claimed(b, begun, { fingerprint: 'one' }, 'the first input may go on')
    },
  },
]
