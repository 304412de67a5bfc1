import assert from 'node:assert/strict'
import { noEffect } from '../core/verdict.ts'
import { assertExecuted, assertReplay } from './http-assertions.ts'
import { type CaseSetup, type HttpBench, type HttpCase, httpCase } from './http-bench.ts'
import { field } from './http-connection.ts'
import { assertProblem, OUTCOME_UNKNOWN } from './http-problem.ts'
import { JSON_TYPE } from './http-request.ts'
import type { AppRequest, AppResponse } from './http-target.ts'

/** Fails the first time in the given way, and pays after that. */
function failsFirst(
  fail: (request: AppRequest, bench: HttpBench) => AppResponse | Promise<AppResponse>,
  setup: CaseSetup = {},
): CaseSetup {
  return {
    ...setup,
    app: (request, bench) => (bench.effects === 1 ? fail(request, bench) : bench.pay(request)),
  }
}

function failure(status: number, effect?: string): (request: AppRequest, bench: HttpBench) => AppResponse {
  return (request, bench) => ({
    status,
    headers: [JSON_TYPE, ...(effect === undefined ? [] : [['onceward-effect', effect] as const])],
    body: bench.receipt(request),
  })
}

const throwing = (): never => {
  throw new Error('the application failed')
}

/** What a failure of the application means: the rows on 5xx and throws of the table in DESIGN.md §6. */
export const failureCases: readonly HttpCase[] = [
  ...[500, 502, 503, 504].map((status) =>
    httpCase(
      `a ${status} of the application is told, then the outcome is unknown`,
      failsFirst(failure(status)),
      async (bench) => {
        const first = await bench.send({ key: 'fails' })
        assertExecuted(first, status)
        assert.ok(first.body.includes(bench.canary('acme')), 'the answer of the application was replaced')
        for (let time = 0; time < 2; time++)
          assertProblem(await bench.send({ key: 'fails' }), OUTCOME_UNKNOWN)
        assert.equal(bench.effects, 1)
      },
    ),
  ),

  httpCase(
    'a 503 is stored and told again where the route says so',
    failsFirst(failure(503), {
      options: { onServerError: 'store' },
    }),
    async (bench) => {
      const first = await bench.send({ key: 'fails' })
      assertExecuted(first, 503)
      assertReplay(first, await bench.send({ key: 'fails' }))
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a 503 is run again where the route says so',
    failsFirst(failure(503), {
      options: { onServerError: 'release' },
    }),
    async (bench) => {
      assertExecuted(await bench.send({ key: 'fails' }), 503)
      const second = await bench.send({ key: 'fails' })
      assertExecuted(second, 201)
      assertReplay(second, await bench.send({ key: 'fails' }))
      assert.equal(bench.effects, 2)
    },
  ),

  httpCase(
    'a 500 that says it had no effect is run again, and what it says stays inside',
    failsFirst(failure(500, 'none')),
    async (bench) => {
      const first = await bench.send({ key: 'none' })
      assertExecuted(first, 500)
      assert.equal(field(first, 'onceward-effect'), undefined, 'Onceward-Effect is passed out')
      const second = await bench.send({ key: 'none' })
      assertExecuted(second, 201)
      assertReplay(second, await bench.send({ key: 'none' }))
      assert.equal(bench.effects, 2)
    },
  ),

  httpCase(
    'a released key may be used with another body',
    failsFirst(failure(500, 'none')),
    async (bench) => {
      assertExecuted(await bench.send({ key: 'none', body: '{"order":"wrong"}' }), 500)
      assertExecuted(await bench.send({ key: 'none', body: '{"order":"right"}' }), 201)
      assert.equal(bench.effects, 2)
    },
  ),

  httpCase(
    'a 500 that says its effect happened is never run again',
    failsFirst(failure(500, 'done')),
    async (bench) => {
      const first = await bench.send({ key: 'done' })
      assertExecuted(first, 500)
      assert.equal(field(first, 'onceward-effect'), undefined)
      const second = await bench.send({ key: 'done' })
      assert.ok(second.status === 500 || second.status === 409, `answered ${second.status}`)
      assert.equal(field(second, 'onceward-effect'), undefined)
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a 500 that says its effect is unknown is held even where 5xx is released',
    failsFirst(failure(500, 'unknown'), {
      options: { onServerError: 'release' },
    }),
    async (bench) => {
      assertExecuted(await bench.send({ key: 'unknown' }), 500)
      assertProblem(await bench.send({ key: 'unknown' }), OUTCOME_UNKNOWN)
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a 201 does not pass Onceward-Effect out, neither first nor again',
    {
      app: (request, bench) => bench.pay(request, [['Onceward-Effect', 'done']]),
    },
    async (bench) => {
      const first = await bench.send({ key: 'inside' })
      const again = await bench.send({ key: 'inside' })
      assertReplay(first, again)
      for (const response of [first, again]) assert.equal(field(response, 'onceward-effect'), undefined)
    },
  ),

  httpCase('Onceward-Effect from a client means nothing', failsFirst(failure(500)), async (bench) => {
    const request = { key: 'forged', headers: [['Onceward-Effect', 'none']] } as const
    const first = await bench.send(request)
    assertExecuted(first, 500)
    assert.equal(field(first, 'onceward-effect'), undefined)
    assertProblem(await bench.send(request), OUTCOME_UNKNOWN)
    assert.equal(bench.effects, 1)
  }),

  httpCase(
    'a throw of the application is a 500, then the outcome is unknown',
    failsFirst(throwing),
    async (bench) => {
      const first = await bench.sendLoosely({ key: 'throws' })
      assert.ok(first === undefined || first.status >= 500, `answered ${first?.status}`)
      assertProblem(
        await bench.resend({ key: 'throws' }, (response) => isHeld(response.body)),
        OUTCOME_UNKNOWN,
      )
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a throw where 5xx is released is run again',
    failsFirst(throwing, { options: { onServerError: 'release' } }),
    async (bench) => {
      await bench.sendLoosely({ key: 'throws' })
      const second = await bench.send({ key: 'throws' })
      assertExecuted(second, 201)
      assertReplay(second, await bench.send({ key: 'throws' }))
      assert.equal(bench.effects, 2)
    },
  ),

  httpCase(
    'a throw marked as without effect is run again',
    failsFirst(
      () => {
        throw noEffect(new Error('refused before anything happened'))
      },
      { needs: ['throws'] },
    ),
    async (bench) => {
      const first = await bench.sendLoosely({ key: 'throws' })
      assert.ok(first === undefined || first.status >= 500)
      const second = await bench.send({ key: 'throws' })
      assertExecuted(second, 201)
      assertReplay(second, await bench.send({ key: 'throws' }))
      assert.equal(bench.effects, 2)
    },
  ),

  httpCase(
    'an answer says nothing of what the application threw',
    failsFirst(
      () => {
        throw new Error('canary-of-the-stack-trace')
      },
      { needs: ['throws'] },
    ),
    async (bench) => {
      await bench.sendLoosely({ key: 'quiet' })
      assertProblem(await bench.send({ key: 'quiet' }), OUTCOME_UNKNOWN)
    },
  ),
]

function isHeld(body: Buffer): boolean {
  return body.includes('outcome-unknown')
}
