import assert from 'node:assert/strict'
import { assertExecuted, assertReplay } from './http-assertions.ts'
import { type CaseSetup, type HttpBench, type HttpCase, httpCase, timed } from './http-bench.ts'
import { field, type RawResponse } from './http-connection.ts'
import { assertProblem, IN_PROGRESS, OUTCOME_UNKNOWN } from './http-problem.ts'
import { type BenchRequest, JSON_TYPE } from './http-request.ts'

const NOW: BenchRequest = { key: 'slow', headers: [['Prefer', 'wait=0']] }

/** Pays once the gate is open. */
const slow: CaseSetup = {
  options: { waitMs: 10_000 },
  app: async (request, bench) => {
    await bench.gate().opened
    return bench.pay(request)
  },
}

/** Duplicates of a running request: SECURITY-CASES 13 and 41, and the row on `Prefer` of DESIGN.md §6. */
export const waitingCases: readonly HttpCase[] = [
  httpCase(
    'fifty parallel duplicates have one effect and get the same bytes',
    {
      options: { waitMs: 10_000 },
      app: async (request, bench) => {
        for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
        return bench.pay(request)
      },
    },
    async (bench) => {
      const all = await Promise.all(Array.from({ length: 50 }, () => bench.send({ key: 'race' })))
      assert.equal(bench.effects, 1)
      assertOneExecuted(all)
    },
  ),

  httpCase(
    'a crowd of callers and keys has one effect for each pair, and nothing crosses',
    {
      options: { waitMs: 10_000 },
      app: async (request, bench) => {
        for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
        const body = JSON.stringify([request.headers['idempotency-key'], bench.receipt(request)])
        return { ...bench.pay(request), body }
      },
    },
    async (bench) => {
      const pairs = ['ann', 'bob', 'cid'].flatMap((tenant) =>
        ['k1', 'k2', 'k3', 'k4'].map((key) => ({ tenant, key })),
      )
      const groups = await Promise.all(
        pairs.map((pair) => Promise.all(Array.from({ length: 8 }, () => bench.send(pair)))),
      )
      assert.equal(bench.effects, pairs.length)
      for (const [index, answers] of groups.entries()) {
        assertOneExecuted(answers)
        const { tenant = '', key = '' } = pairs[index] ?? {}
        for (const { body } of answers) assert.ok(body.includes(key) && body.includes(bench.canary(tenant)))
      }
    },
  ),

  httpCase('a first request runs whatever it prefers', {}, async (bench) => {
    const first = await bench.send(NOW)
    assertExecuted(first, 201)
    assertReplay(first, await bench.send(NOW))
    assert.equal(bench.effects, 1)
  }),

  httpCase('duplicates that waited get the replay when the first has finished', slow, async (bench) => {
    const { first, waiters } = await startWaiters(bench, 5)
    bench.gate().open()
    const answer = await first
    assertExecuted(answer, 201)
    for (const again of await Promise.all(waiters)) assertReplay(answer, again)
    assert.equal(bench.effects, 1)
  }),

  httpCase('Prefer: wait=0 is told at once that the first still runs', slow, async (bench) => {
    const first = bench.send({ key: 'slow' })
    await bench.effectsReach(1)
    const { value, tookMs } = await timed(() => bench.send(NOW))
    assertProblem(value, IN_PROGRESS)
    assert.ok(tookMs < 5000, `it took ${tookMs} ms`)
    bench.gate().open()
    assertReplay(await first, await bench.send(NOW))
    assert.equal(bench.effects, 1)
  }),

  httpCase('an answer that has arrived can be replayed at once, without waiting', {}, async (bench) => {
    for (let index = 0; index < 10; index++) {
      const first = await bench.send({ key: `stored-${index}` })
      assertReplay(first, await bench.send({ key: `stored-${index}`, headers: [['Prefer', 'wait=0']] }))
    }
    assert.equal(bench.effects, 10)
  }),

  httpCase('Prefer: wait=1 waits a second, not for the cap', slow, async (bench) => {
    const first = bench.send({ key: 'slow' })
    await bench.effectsReach(1)
    const { value, tookMs } = await timed(() =>
      bench.send({ key: 'slow', headers: [['Prefer', 'respond-async, wait=1']] }),
    )
    assertProblem(value, IN_PROGRESS)
    assert.ok(tookMs > 800 && tookMs < 6000, `it took ${tookMs} ms`)
    bench.gate().open()
    assertExecuted(await first, 201)
  }),

  httpCase(
    'the cap of the route bounds what a client prefers',
    { ...slow, options: { waitMs: 100 } },
    async (bench) => {
      const first = bench.send({ key: 'slow' })
      await bench.effectsReach(1)
      for (const headers of [[], [['Prefer', 'wait=600']]] as const) {
        const { value, tookMs } = await timed(() => bench.send({ key: 'slow', headers }))
        assertProblem(value, IN_PROGRESS)
        assert.ok(tookMs < 5000, `it took ${tookMs} ms`)
      }
      bench.gate().open()
      const answer = await first
      assertReplay(answer, await bench.send({ key: 'slow' }))
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a preference that is not a number of seconds is ignored',
    { ...slow, options: { waitMs: 50 } },
    async (bench) => {
      const first = bench.send({ key: 'slow' })
      await bench.effectsReach(1)
      for (const prefer of [
        'wait=-1',
        'wait=abc',
        'wait',
        'wait=1e9',
        'wait=99999999999999999999',
        'return=minimal',
      ])
        assertProblem(await bench.send({ key: 'slow', headers: [['Prefer', prefer]] }), IN_PROGRESS)
      bench.gate().open()
      assertExecuted(await first, 201)
    },
  ),

  httpCase('another key with an equal body runs beside the first', slow, async (bench) => {
    const first = bench.send({ key: 'slow' })
    await bench.effectsReach(1)
    const other = bench.send({ key: 'other' })
    await bench.effectsReach(2)
    bench.gate().open()
    assertExecuted(await first, 201)
    assertExecuted(await other, 201)
  }),

  httpCase('the same key of another caller does not wait for the first', slow, async (bench) => {
    const first = bench.send({ key: 'slow', tenant: 'ann' })
    await bench.effectsReach(1)
    const other = bench.send({ key: 'slow', tenant: 'bob' })
    await bench.effectsReach(2)
    bench.gate().open()
    assertExecuted(await first, 201)
    assertExecuted(await other, 201)
  }),

  httpCase(
    'duplicates that waited for a failure learn that the outcome is unknown',
    {
      ...slow,
      app: async (request, bench) => {
        await bench.gate().opened
        return { status: 500, headers: [JSON_TYPE], body: bench.receipt(request) }
      },
    },
    async (bench) => {
      const { first, waiters } = await startWaiters(bench, 3)
      bench.gate().open()
      assertExecuted(await first, 500)
      for (const again of await Promise.all(waiters)) assertProblem(again, OUTCOME_UNKNOWN)
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'when the first is released, exactly one that waited runs in its place',
    {
      ...slow,
      app: async (request, bench) => {
        const isFirst = bench.effects === 1
        await bench.gate().opened
        if (!isFirst) return bench.pay(request)
        return {
          status: 500,
          headers: [JSON_TYPE, ['onceward-effect', 'none']],
          body: bench.receipt(request),
        }
      },
    },
    async (bench) => {
      const { first, waiters } = await startWaiters(bench, 4)
      bench.gate().open()
      assertExecuted(await first, 500)
      const answers = await Promise.all(waiters)
      assert.equal(bench.effects, 2)
      assertOneExecuted(answers)
    },
  ),

  httpCase('a duplicate that stops waiting disturbs nobody', slow, async (bench) => {
    const { first, waiters } = await startWaiters(bench, 2)
    const leaving = await bench.connect()
    bench.write(leaving, { key: 'slow' })
    leaving.destroy()
    assertProblem(await bench.send(NOW), IN_PROGRESS)
    bench.gate().open()
    const answer = await first
    assertExecuted(answer, 201)
    for (const again of await Promise.all(waiters)) assertReplay(answer, again)
    assert.equal(bench.effects, 1)
  }),
]

/** Starts the first request and duplicates that wait for it. */
async function startWaiters(
  bench: HttpBench,
  count: number,
): Promise<{ readonly first: Promise<RawResponse>; readonly waiters: readonly Promise<RawResponse>[] }> {
  const first = bench.send({ key: 'slow' })
  await bench.effectsReach(1)
  const waiters = Array.from({ length: count }, () => bench.send({ key: 'slow' }))
  // Sent after them and answered at once: by then they have been read too.
  assertProblem(await bench.send(NOW), IN_PROGRESS)
  assertProblem(await bench.send(NOW), IN_PROGRESS)
  return { first, waiters }
}

/** Asserts that one of the answers is a first one and every other its replay. */
function assertOneExecuted(answers: readonly RawResponse[]): void {
  const executed = answers.filter((response) => field(response, 'idempotent-replayed') === undefined)
  assert.equal(
    executed.length,
    1,
    `${executed.length} of ${answers.length} answers are not marked as a replay`,
  )
  const [first] = executed
  assert.ok(first)
  assertExecuted(first, 201)
  for (const again of answers) if (again !== first) assertReplay(first, again)
}
