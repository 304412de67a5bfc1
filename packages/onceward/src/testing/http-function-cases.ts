import assert from 'node:assert/strict'
import { type HttpCase, httpCase } from './http-bench.ts'
import { assertProblem, CANARY_PREFIX } from './http-problem.ts'
import type { BrokenFunction } from './http-target.ts'

const REQUEST_INVALID = { status: 400, code: 'request-invalid', retryable: false, effect: 'none' } as const

/** Functions of the user's that break before anything ran. */
export const functionCases: readonly HttpCase[] = (['scope', 'deriveKey'] as const).flatMap((of) =>
  (['throws', 'rejects'] as const).map((how) => broken({ of, how })),
)

function broken(fault: BrokenFunction): HttpCase {
  return httpCase(
    `${fault.of} ${fault.how}: nothing ran, nothing is held, and the process lives`,
    { options: { broken: fault }, needs: ['userFunctions'] },
    async (bench) => {
      // The second answer is that of the first: no operation was begun that could be held.
      for (let time = 0; time < 2; time++) {
        const response = await bench.send({ key: 'broken' })
        if (fault.of === 'deriveKey') assertProblem(response, REQUEST_INVALID)
        else assert.equal(response.status, 500, `answered ${response.status}`)
        const text = response.body.toString('latin1')
        assert.ok(!text.includes('outcome-unknown') && !text.includes('"effect":"unknown"'), text)
        if (fault.of === 'deriveKey')
          assert.ok(!text.includes(CANARY_PREFIX), 'the client is told what broke')
      }
      assert.equal(bench.effects, 0)
      const other = await bench.send({ method: 'GET' })
      assert.equal(other.status, 201)
    },
  )
}
