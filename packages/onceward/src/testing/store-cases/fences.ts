import assert from 'node:assert/strict'
import type { OperationCatalog, OperationStore } from '../../core/store.ts'
import {
  asks,
  claimed,
  decides,
  doneBy,
  expectReply,
  heldBy,
  outcomeOf,
  recordOf,
  someId,
} from '../case-kit.ts'
import { type StoreCase, unlessFencing, unlessListing } from '../store-harness.ts'

/** How long an operation is remembered, and that its fences go up for good. */
export const fenceCases: readonly StoreCase<OperationStore>[] = [
  {
    name: 'fences strictly increase over release, lapse, resolve and expiry (I5)',
    unless: unlessFencing,
    async run({ a, b, unitMs, pass }) {
      const id = someId()
      const fences: number[] = []
      const first = await claimed(a, id)
      fences.push(first.fence)
      await a.release(first)
      fences.push((await claimed(b, id, { leaseMs: unitMs, onCrash: 'rerun' })).fence)
      await pass(unitMs)
      const third = await claimed(a, id, {}, 'a lapsed rerun is taken over')
      fences.push(third.fence)
      await a.hold(third, 'no reply')
      await b.resolve(id, decides(third.fence, { state: 'released' }))
      const fourth = await claimed(b, id, { retentionMs: unitMs }, 'a released operation may run again')
      fences.push(fourth.fence)
      await b.complete(fourth, outcomeOf('receipt'), unitMs)
      await pass(unitMs)
      const fifth = await claimed(a, id, {}, 'an expired operation is forgotten')
      fences.push(fifth.fence)
      assert.equal(fifth.attempt, 1, 'a forgotten operation starts with attempt 1')
      assertIncreasing(fences)
    },
  },
  {
    name: 'a fence is at least the store’s time in µs, and a safe integer',
    async run({ a, b }) {
      const id = someId()
      const { fence } = await claimed(a, id)
      const { updatedAt } = await recordOf(b, id)
      assert.ok(Number.isSafeInteger(fence), `a fence fits in 2^53: ${fence}`)
      assert.ok(
        fence >= Math.floor(updatedAt) * 1000,
        `the fence ${fence} is below the store’s time ${updatedAt} ms in µs: it would start over after a lost record`,
      )
    },
  },
  {
    name: 'fences strictly increase over a purge of the expired record',
    unless: (capabilities) => unlessFencing(capabilities) ?? unlessListing(capabilities),
    timeoutMs: 60_000,
    async run({ a, b, unitMs, pass }) {
      const id = someId()
      const catalog = b as OperationStore & OperationCatalog
      const fences: number[] = []
      for (let round = 0; round < 3; round++) {
        fences.push((await doneBy(a, id, 'receipt', { retentionMs: unitMs })).fence)
        await pass(unitMs)
        await catalog.purge()
      }
      // Forgotten at once, purged at once, claimed in the same instant.
      for (let round = 0; round < 10; round++) {
        const brief = await claimed(a, id, {}, 'an expired operation may run again')
        fences.push(brief.fence)
        await a.complete(brief, outcomeOf('receipt'), 0)
        await catalog.purge()
      }
      assertIncreasing(fences)
    },
  },
  {
    name: 'a done operation is remembered until its retention ends, and not longer',
    async run({ a, b, unitMs, longMs, exactTime, pass }) {
      const lasting = someId()
      await doneBy(a, lasting, 'receipt', { retentionMs: exactTime ? unitMs + 1 : longMs })
      const brief = someId()
      await doneBy(a, brief, 'receipt', { retentionMs: unitMs })
      await pass(unitMs)
      await expectReply(b, asks(lasting), 'done', 'within its retention a done operation is remembered')
      assert.ok(await a.get(lasting), 'within its retention a done operation can be read')
      assert.equal(await b.get(brief), undefined, 'after its retention a done operation is forgotten')
      const again = await claimed(
        b,
        brief,
        { fingerprint: 'another input' },
        'a forgotten operation may run again',
      )
      assert.equal(again.attempt, 1, 'nothing of a forgotten operation is left')
      assert.equal(
        (await recordOf(a, brief)).history.length,
        1,
        'the history of a forgotten operation is gone',
      )
    },
  },
  {
    name: 'the retention is the one given at completion, counted from the end',
    async run({ a, b, unitMs, pass }) {
      const id = someId()
      const claim = await claimed(a, id, { retentionMs: 1 })
      await pass(unitMs)
      await a.complete(claim, outcomeOf('receipt'), 50_000)
      const reply = await expectReply(b, asks(id), 'done', 'remembered for what the completion asked')
      assert.ok(reply.remainingMs > 0 && reply.remainingMs <= 50_000, 'counted from the completion')
      const record = await recordOf(b, id)
      assert.equal(record.retentionMs, 50_000)
      assert.equal(record.expiresAt, record.updatedAt + 50_000)
    },
  },
  {
    name: 'a released operation is forgotten after its retention',
    async run({ a, b, unitMs, pass, lasts }) {
      const id = someId()
      const isKept = lasts(unitMs)
      await a.release(await claimed(a, id, { retentionMs: unitMs }))
      const record = await b.get(id)
      if (isKept()) assert.ok(record, 'a released operation is remembered at first')
      await pass(unitMs)
      assert.equal(await b.get(id), undefined, 'a released operation is forgotten after its retention')
    },
  },
  {
    name: 'what could hide an effect never expires: held, running, or lapsed with hold',
    async run({ a, b, unitMs, pass }) {
      const over = { retentionMs: 1 }
      const held = someId()
      await heldBy(a, held, over)
      const running = someId()
      await claimed(a, running, over)
      const lapsed = someId()
      await claimed(a, lapsed, { ...over, leaseMs: unitMs })
      const inStep = someId()
      const claim = await claimed(a, inStep, { ...over, leaseMs: unitMs, onCrash: 'rerun' })
      await a.checkpoint(claim, { name: 'charge', state: 'started', onCrash: 'hold' })
      await pass(unitMs * 3)
      await expectReply(b, asks(held), 'held', 'held never expires')
      await expectReply(b, asks(running), 'running', 'a running operation does not expire')
      await expectReply(b, asks(lapsed), 'held', 'a lapsed hold does not expire')
      await expectReply(b, asks(inStep), 'held', 'a lapse inside a hold step does not expire')
      assert.equal((await recordOf(b, held)).expiresAt, undefined, 'a held record has no end')
    },
  },
  {
    name: 'the history is in order and keeps the newest 16 entries',
    async run({ a, b }) {
      const id = someId()
      for (let round = 0; round < 12; round++) await a.release(await claimed(a, id))
      const { history } = await recordOf(b, id)
      assert.equal(history.length, 16, 'the history is capped')
      assert.equal(history.at(-1)?.event, 'released', 'the newest entry is last')
      assert.equal(history.at(-1)?.attempt, 12, 'the oldest entries go first')
      assert.deepEqual(
        history.map((entry) => entry.attempt),
        [...history.map((entry) => entry.attempt)].sort((left, right) => left - right),
        'the history is in order',
      )
      assert.deepEqual(
        history.map((entry) => entry.at),
        [...history.map((entry) => entry.at)].sort((left, right) => left - right),
        'the times of the history are in order',
      )
    },
  },
]

function assertIncreasing(fences: readonly number[]): void {
  for (const [index, fence] of fences.entries()) {
    const before = fences[index - 1] ?? 0
    assert.ok(
      fence > before,
      `fences strictly increase: ${before} was followed by ${fence} (claim ${index + 1})`,
    )
  }
}
