import assert from 'node:assert/strict'
import type { AskTurn, OperationStore } from '../../core/store.ts'
import {
  asks,
  claimed,
  decides,
  doneBy,
  expectReply,
  heldBy,
  LONG_MS,
  leavesUntouched,
  recordOf,
  someId,
} from '../case-kit.ts'
import type { StoreCase } from '../store-harness.ts'

/** Who may ask what became of a held operation. */
export const turnCases: readonly StoreCase<OperationStore>[] = [
  {
    name: 'of many concurrent askers one gets the turn',
    async run({ stores, a }) {
      const id = someId()
      const { fence } = await heldBy(a, id)
      const answers = await Promise.all(
        Array.from({ length: 30 }, (_, index) =>
          stores[index % stores.length]?.takeTurn(id, turnAt(fence, 0)),
        ),
      )
      const turns = answers.filter((answer) => answer === true).length
      assert.equal(turns, 1, `exactly one of 30 askers gets the turn, not ${turns}`)
      assert.equal((await recordOf(a, id)).asks, 1, 'the turn is counted')
    },
  },
  {
    name: 'after a turn nobody asks until the quiet time is over, and the count must be the newest',
    async run({ a, b, unitMs, longMs, exactTime, pass }) {
      const id = someId()
      const { fence } = await heldBy(a, id)
      const quietMs = exactTime ? unitMs : longMs
      assert.equal(await a.takeTurn(id, turnAt(fence, 0, { quietMs })), true)
      await pass(unitMs - 1)
      const reply = await expectReply(b, asks(id), 'held', 'still held')
      assert.equal(reply.asks, 1, 'the reply tells how often somebody was asked')
      assert.ok(reply.mayAskInMs > 0 && reply.mayAskInMs <= quietMs, 'the reply tells how long to wait')
      await leavesUntouched(a, id, 'a refused asker changes nothing', async () => {
        assert.equal(await b.takeTurn(id, turnAt(fence, 1)), false, 'the quiet time is honoured')
        assert.equal(await b.takeTurn(id, turnAt(fence, 0)), false, 'an old count is refused')
        assert.equal(await b.takeTurn(id, turnAt(fence, 2)), false, 'a count nobody has seen is refused')
      })
      if (exactTime) await pass(1)
      else assert.equal(await a.takeTurn(id, turnAt(fence, 1, { quietMs: 0, holding: true })), true)
      assert.equal(
        (await expectReply(b, asks(id), 'held', 'still held')).mayAskInMs,
        0,
        'the quiet time is over',
      )
      assert.equal(await b.takeTurn(id, turnAt(fence, 1)), true, 'after the quiet time the next one may ask')
      assert.equal((await recordOf(a, id)).asks, 2)
    },
  },
  {
    name: 'whoever holds the turn may move the quiet time; whoever has lost it may not',
    async run({ a, b, unitMs, pass }) {
      const id = someId()
      const { fence } = await heldBy(a, id)
      assert.equal(await a.takeTurn(id, turnAt(fence, 0, { quietMs: unitMs })), true)
      assert.equal(
        await a.takeTurn(id, turnAt(fence, 1, { holding: true })),
        true,
        'the holder moves the quiet time',
      )
      await pass(unitMs)
      assert.equal(await b.takeTurn(id, turnAt(fence, 1)), false, 'the moved quiet time is honoured')
      assert.equal((await recordOf(b, id)).asks, 1, 'moving it is no further turn')
      assert.equal(await a.takeTurn(id, turnAt(fence, 1, { holding: true, quietMs: 0 })), true)
      assert.equal(await b.takeTurn(id, turnAt(fence, 1)), true, 'the next turn')
      await leavesUntouched(a, id, 'a lost turn changes nothing', async () => {
        assert.equal(
          await a.takeTurn(id, turnAt(fence, 1, { holding: true, quietMs: 0 })),
          false,
          'the turn was lost',
        )
      })
    },
  },
  {
    name: 'an operation that is held again starts without asks and without a quiet time',
    async run({ a, b }) {
      const id = someId()
      const first = await heldBy(a, id)
      assert.equal(await b.takeTurn(id, turnAt(first.fence, 0)), true)
      await b.resolve(id, decides(first.fence, { state: 'released' }))
      const second = await heldBy(a, id)
      const reply = await expectReply(b, asks(id), 'held', 'held again')
      assert.deepEqual([reply.asks, reply.mayAskInMs], [0, 0], 'the asks of an earlier hold are past')
      assert.equal(await b.takeTurn(id, turnAt(second.fence, 0)), true, 'somebody may be asked at once')
    },
  },
  {
    name: 'a turn needs a held operation and its fence',
    async run({ a, b }) {
      const id = someId()
      const { fence } = await heldBy(a, id)
      await leavesUntouched(a, id, 'a wrong fence changes nothing', async () => {
        assert.equal(await b.takeTurn(id, turnAt(fence - 1, 0)), false, 'a smaller fence is refused')
        assert.equal(await b.takeTurn(id, turnAt(fence + 1, 0)), false, 'a greater fence is refused')
      })
      assert.equal(await b.takeTurn(someId(), turnAt(fence, 0)), false, 'an absent operation has no turn')
      const running = someId()
      const claim = await claimed(a, running)
      const done = someId()
      const { fence: doneFence } = await doneBy(a, done)
      await leavesUntouched(b, running, 'a running operation has no turn', async () => {
        assert.equal(await b.takeTurn(running, turnAt(claim.fence, 0)), false)
      })
      await leavesUntouched(b, done, 'a done operation has no turn', async () => {
        assert.equal(await b.takeTurn(done, turnAt(doneFence, 0)), false)
      })
    },
  },
]

/** A turn after `count` asks; nobody else may ask for long. */
function turnAt(fence: number, count: number, over: Partial<AskTurn> = {}): AskTurn {
  return { fence, asks: count, quietMs: LONG_MS, holding: false, ...over }
}
