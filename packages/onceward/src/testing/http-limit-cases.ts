import assert from 'node:assert/strict'
import { assertExecuted, assertReplay } from './http-assertions.ts'
import { type HttpCase, httpCase } from './http-bench.ts'
import { assertProblem, IN_PROGRESS } from './http-problem.ts'

/** What bounds the work of one caller: SECURITY-CASES 40 and 41. */
export const limitCases: readonly HttpCase[] = [
  httpCase(
    'more duplicates than may wait are told so at once',
    {
      options: { waitMs: 10_000, maxWaiters: 3 },
      app: async (request, bench) => {
        await bench.gate().opened
        return bench.pay(request)
      },
      needs: ['maxWaiters'],
    },
    async (bench) => {
      const first = bench.send({ key: 'slow' })
      await bench.effectsReach(1)
      let turnedAway = 0
      const waiters = Array.from({ length: 10 }, async () => {
        const response = await bench.send({ key: 'slow' })
        if (response.status === 409) {
          assertProblem(response, IN_PROGRESS)
          turnedAway++
          if (turnedAway === 7) bench.gate().open()
        }
        return response
      })
      const answers = await Promise.all(waiters)
      const answer = await first
      const replays = answers.filter((response) => response.status === 201)
      assert.equal(replays.length, 3, `${replays.length} waited where 3 may`)
      for (const again of replays) assertReplay(answer, again)
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a scope that starts too many operations is refused, its finished ones are still told',
    {
      options: { quota: 5 },
      needs: ['quota'],
    },
    async (bench) => {
      const first = await bench.send({ key: 'first' })
      assertExecuted(first, 201)
      const others = []
      for (let index = 0; index < 10; index++) others.push(await bench.send({ key: `other-${index}` }))
      const refused = others.filter((response) => response.status === 429)
      assert.ok(refused.length >= 5, `only ${refused.length} of 11 were refused with a quota of 5`)
      for (const response of refused)
        assertProblem(response, { status: 429, code: 'quota-exceeded', retryable: true, effect: 'none' })
      assert.equal(bench.effects, 11 - refused.length)
      assertReplay(first, await bench.send({ key: 'first' }))
      assertExecuted(await bench.send({ key: 'first', tenant: 'other' }), 201)
    },
  ),
]
