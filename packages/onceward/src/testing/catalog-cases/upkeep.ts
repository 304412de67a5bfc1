import assert from 'node:assert/strict'
import type { Claim, OperationId } from '../../core/operation.ts'
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
  within,
} from '../case-kit.ts'
import { type StoreCase, unlessPush } from '../store-harness.ts'
import type { CatalogStore } from './catalog-kit.ts'

/** Sweeping, purging, counting, the audit, the schema. */
export const upkeepCases: readonly StoreCase<CatalogStore>[] = [
  {
    name: 'sweep turns lapsed holds into held ones, counts them, and is bounded by its limit',
    async run({ a, b, unitMs, pass }) {
      const claims: Claim[] = []
      const ids = await many(7, async (id) => claims.push(await claimed(a, id)))
      const rerun = someId()
      claims.push(await claimed(a, rerun, { onCrash: 'rerun' }))
      assert.equal(await b.sweep(), 0, 'nothing has lapsed yet')
      for (const claim of claims) await a.renew(claim, unitMs)
      await pass(unitMs)
      assert.equal(await b.sweep(3), 3, 'at most limit are swept')
      assert.equal((await b.stats()).held, 3)
      assert.equal(await b.sweep(), 4, 'the next sweep goes on')
      assert.equal(await b.sweep(), 0, 'nothing is left to sweep')
      for (const id of ids) {
        const record = await recordOf(a, id)
        assert.equal(record.state, 'held')
        assert.match(record.heldReason ?? '', /lapsed/, 'the reason tells the lapse')
        assert.equal(record.history.at(-1)?.event, 'held')
      }
      assert.equal(
        (await recordOf(a, rerun)).state,
        'running',
        'a lapsed rerun is left to whoever takes it over',
      )
    },
  },
  {
    name: 'concurrent sweeps hold each lapsed claim once',
    async run({ a, b, unitMs, pass }) {
      const ids = await many(12, (id) => claimed(a, id, { leaseMs: unitMs }))
      await pass(unitMs)
      const counts = await Promise.all([a.sweep(), b.sweep(), a.sweep(5), b.sweep(5)])
      const total = counts.reduce((sum, count) => sum + count, 0)
      assert.equal(total, 12, `each lapsed claim is swept once, not ${total} of 12`)
      for (const id of ids) {
        const events = (await recordOf(b, id)).history.map((entry) => entry.event)
        assert.deepEqual(events, ['claimed', 'held'], 'it becomes held once')
      }
    },
  },
  {
    name: 'a sweep wakes those who wait',
    unless: unlessPush,
    async run({ a, unitMs, patienceMs, pass }) {
      const id = someId()
      await claimed(a, id, { leaseMs: unitMs })
      const stop = new AbortController()
      const woken = a.watch?.(id, stop.signal)
      await pass(unitMs)
      await a.sweep()
      await within(patienceMs, 'a sweep wakes those who wait', Promise.resolve(woken))
      stop.abort()
    },
  },
  {
    name: 'purge removes expired records, counts them, and is bounded by its limit',
    async run({ a, b, unitMs, pass, lasts }) {
      const kept = someId()
      await doneBy(a, kept)
      const isKept = lasts(unitMs)
      await many(7, (id) => doneBy(a, id, 'receipt', { retentionMs: unitMs }))
      const early = await b.purge()
      if (isKept()) assert.equal(early, 0, 'nothing has expired yet')
      await pass(unitMs + 2)
      const first = Math.min(3, 7 - early)
      assert.equal(await b.purge(3), first, 'at most limit are purged')
      assert.equal(await b.purge(), 7 - early - first, 'the next purge goes on')
      assert.equal(await b.purge(), 0, 'nothing is left to purge')
      await expectReply(a, asks(kept), 'done', 'what has not expired stays')
    },
  },
  {
    name: 'purge never removes what is held, running, or lapsed with hold',
    async run({ a, b, unitMs, pass }) {
      const over = { retentionMs: 1 }
      const held = someId()
      await heldBy(a, held, over)
      const running = someId()
      await claimed(a, running, over)
      const lapsed = someId()
      await claimed(a, lapsed, { ...over, leaseMs: unitMs })
      await pass(unitMs * 3)
      assert.equal(await b.purge(), 0, 'nothing that could hide an effect is purged')
      assert.equal((await recordOf(a, held)).state, 'held')
      assert.equal((await recordOf(a, running)).state, 'running')
      await expectReply(a, asks(lapsed), 'held', 'a lapsed hold is still there to be held')
    },
  },
  {
    name: 'stats count each state and tell the age of the oldest running and held ones',
    async run({ a, b, unitMs, exactTime, pass }) {
      assert.deepEqual(
        await b.stats(),
        { running: 0, done: 0, held: 0, released: 0, oldestRunningMs: 0, oldestHeldMs: 0 },
        'an empty store counts nothing',
      )
      await claimed(a, someId())
      await heldBy(a, someId())
      await pass(unitMs)
      await claimed(a, someId())
      await heldBy(a, someId())
      await heldBy(a, someId())
      for (let index = 0; index < 4; index++) await doneBy(a, someId())
      await a.release(await claimed(a, someId()))
      const { oldestRunningMs, oldestHeldMs, ...counts } = await b.stats()
      assert.deepEqual(counts, { running: 2, done: 4, held: 3, released: 1 }, 'each state is counted')
      for (const age of [oldestRunningMs, oldestHeldMs]) {
        assert.ok(
          age >= unitMs && age < (exactTime ? unitMs + 1 : 600_000),
          `the oldest is ${unitMs} ms old, not ${age}`,
        )
      }
    },
  },
  {
    name: 'the audit tells every decision, newest first, by operation and limit, and outlives the record',
    async run({ a, b, unitMs, pass }) {
      const failure = { name: 'Declined', message: 'no funds', effect: 'none' } as const
      const decisions = [
        { as: { state: 'done', outcome: outcomeOf('found') }, told: 'done' },
        { as: { state: 'done', outcome: { kind: 'failure', failure } }, told: 'failed' },
        { as: { state: 'released' }, told: 'released' },
      ] as const
      const expected = []
      for (const [index, { as, told }] of decisions.entries()) {
        const id = someId()
        const { fence } = await heldBy(a, id, { retentionMs: unitMs })
        const said = { actor: `ada ${index} 💳`, reason: `ticket ${index} ' -- %` }
        assert.equal((await b.resolve(id, decides(fence, as, said))).state, 'resolved')
        expected.unshift({ ...id, fence, as: told, ...said })
        await pass(2)
      }
      const plain = async (query?: Parameters<CatalogStore['audit']>[0]) =>
        (await b.audit(query)).map(({ at, ...entry }) => {
          assert.ok(at > 0, 'a decision has a time')
          return entry
        })
      assert.deepEqual(await plain(), expected, 'every decision, newest first')
      assert.deepEqual(await plain({ limit: 2 }), expected.slice(0, 2), 'at most limit, the newest')
      assert.deepEqual(await plain({ digest: expected[1]?.digest ?? '' }), [expected[1]], 'of one operation')
      assert.deepEqual(await plain({ digest: 'unknown' }), [])
      await pass(unitMs + 2)
      await a.purge()
      assert.deepEqual(await plain(), expected, 'the audit is kept when the record is gone')
    },
  },
  {
    name: 'the audit clips a long actor to 500 characters',
    async run({ a, b }) {
      const id = someId()
      const { fence } = await heldBy(a, id)
      await b.resolve(id, decides(fence, { state: 'released' }, { actor: 'x'.repeat(600) }))
      const [entry] = await a.audit()
      assert.ok(entry && entry.actor.length <= 500, 'an actor is clipped to 500 characters')
      assert.equal(entry.actor.slice(0, 490), 'x'.repeat(490), 'a clipped actor keeps its beginning')
    },
  },
  {
    name: 'a decision that is refused leaves no line in the audit',
    async run({ a, b }) {
      const id = someId()
      const { fence } = await heldBy(a, id)
      await b.resolve(id, decides(fence + 1, { state: 'released' }))
      await b.resolve(someId(), decides(1, { state: 'released' }))
      await assert.rejects(
        async () => b.resolve(id, decides(fence, { state: 'released' }, { reason: '' })),
        TypeError,
      )
      assert.deepEqual(await a.audit(), [], 'only decisions that were made are told')
      const running = someId()
      const claim = await claimed(a, running)
      await b.resolve(running, decides(claim.fence, { state: 'released' }))
      assert.deepEqual(await a.audit(), [], 'a conflict is no decision')
    },
  },
  {
    name: 'migrate may be repeated, also by many at once, and keeps what is stored',
    async run({ a, b, stores }) {
      const id = someId()
      await doneBy(a, id)
      const applied = await Promise.all([...stores, ...stores, ...stores].map((store) => store.migrate()))
      for (const names of applied)
        assert.deepEqual(names, [], 'a schema that is up to date needs no migration')
      await expectReply(b, asks(id), 'done', 'a migration keeps what is stored')
    },
  },
  {
    name: 'the doctor answers findings, and fails nothing on a healthy store',
    async run({ a }) {
      const findings = await a.doctor()
      assert.ok(findings.length > 0, 'the doctor looked at something')
      for (const { level, check, message } of findings) {
        assert.ok(
          level === 'ok' || level === 'warn',
          `a healthy store fails no check, not ${check}: ${message}`,
        )
        assert.ok(check !== '' && message !== '', 'a finding names its check and says something')
      }
    },
  },
]

async function many(
  count: number,
  make: (id: OperationId) => Promise<unknown>,
): Promise<readonly OperationId[]> {
  const ids = Array.from({ length: count }, () => someId())
  for (const id of ids) await make(id)
  return ids
}
