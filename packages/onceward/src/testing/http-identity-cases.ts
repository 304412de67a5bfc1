import assert from 'node:assert/strict'
import { assertExecuted, assertReplay } from './http-assertions.ts'
import { type HttpCase, httpCase } from './http-bench.ts'
import { assertProblem, KEY_REUSED } from './http-problem.ts'

const SCOPE_MISSING = { status: 401, code: 'scope-missing', retryable: false, effect: 'none' } as const

/** Which requests are the same operation: SECURITY-CASES 8 to 12, 14 and 20. */
export const identityCases: readonly HttpCase[] = [
  httpCase('one key of two callers is two operations, and nothing crosses', {}, async (bench) => {
    const ann = await bench.send({ key: 'same', tenant: 'ann' })
    const bob = await bench.send({ key: 'same', tenant: 'bob' })
    assertExecuted(ann, 201)
    assertExecuted(bob, 201)
    assert.ok(ann.body.includes(bench.canary('ann')) && bob.body.includes(bench.canary('bob')))
    assertReplay(ann, await bench.send({ key: 'same', tenant: 'ann' }))
    assertReplay(bob, await bench.send({ key: 'same', tenant: 'bob' }))
    assert.equal(bench.effects, 2)
  }),

  httpCase(
    'an answer that varies by cookie or authorization stays with its caller',
    {
      app: (request, bench) =>
        bench.pay(request, [
          ['vary', 'Cookie, Authorization'],
          ['set-cookie', 'session=secret'],
        ]),
    },
    async (bench) => {
      const ann = await bench.send({ key: 'vary', tenant: 'ann', headers: [['cookie', 'session=ann']] })
      const bob = await bench.send({ key: 'vary', tenant: 'bob', headers: [['cookie', 'session=bob']] })
      assertExecuted(bob, 201)
      assertReplay(
        ann,
        await bench.send({ key: 'vary', tenant: 'ann', headers: [['cookie', 'session=bob']] }),
      )
      assert.equal(bench.effects, 2)
    },
  ),

  httpCase('where to cut a scope from its key cannot be confused', {}, async (bench) => {
    assertExecuted(await bench.send({ key: '"c"', tenant: 'a:b' }), 201)
    assertExecuted(await bench.send({ key: '"b:c"', tenant: 'a' }), 201)
    assertExecuted(await bench.send({ key: '"/c"', tenant: 'a:b' }), 201)
    assertExecuted(await bench.send({ key: '"c"', tenant: 'a:b/' }), 201)
    assert.equal(bench.effects, 4)
  }),

  httpCase('a caller that cannot be told from others is refused, never made anonymous', {}, async (bench) => {
    assertProblem(await bench.send({ key: 'who', tenant: null }), SCOPE_MISSING)
    assertProblem(await bench.send({ key: 'who', tenant: '' }), SCOPE_MISSING)
    assert.equal(bench.effects, 0)
    assertExecuted(await bench.send({ key: 'who', tenant: 'anonymous' }), 201)
    assertExecuted(await bench.send({ key: 'who', tenant: 'undefined' }), 201)
    assertProblem(await bench.send({ key: 'who', tenant: null }), SCOPE_MISSING)
    assert.equal(bench.effects, 2)
  }),

  httpCase('with a public scope all callers share keys', { options: { scope: 'public' } }, async (bench) => {
    const first = await bench.send({ key: 'shared', tenant: 'ann' })
    assertExecuted(first, 201)
    assertReplay(first, await bench.send({ key: 'shared', tenant: 'bob' }))
    assert.equal(bench.effects, 1)
  }),

  httpCase(
    'authorization is asked before a replay, so a revoked caller gets nothing',
    {
      needs: ['authorization'],
      authorize: (request, bench) =>
        !bench.flags.has('revoked') && request.headers['authorization'] === 'Bearer good',
    },
    async (bench) => {
      const request = { key: 'secret', headers: [['authorization', 'Bearer good']] } as const
      assertExecuted(await bench.send(request), 201)
      bench.flags.add('revoked')
      const refused = await bench.send(request)
      assert.equal(refused.status, 403)
      assert.ok(
        !refused.body.includes(bench.canary('acme')),
        'the stored answer was told to a revoked caller',
      )
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase('another path or another method under one key is another operation', {}, async (bench) => {
    const post = await bench.send({ key: 'same', path: '/payments' })
    assertExecuted(post, 201)
    assertExecuted(await bench.send({ key: 'same', path: '/refunds' }), 201)
    assertExecuted(await bench.send({ key: 'same', path: '/payments/1' }), 201)
    assertExecuted(await bench.send({ key: 'same', path: '/payments', method: 'PUT' }), 201)
    assertExecuted(await bench.send({ key: 'same', path: '/payments', method: 'PATCH' }), 201)
    assertExecuted(await bench.send({ key: 'same', path: '/payments', method: 'DELETE' }), 201)
    assert.equal(bench.effects, 6)
    assertReplay(post, await bench.send({ key: 'same', path: '/payments' }))
    assert.equal(bench.effects, 6)
  }),

  httpCase('every unsafe method runs once', {}, async (bench) => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const first = await bench.send({ key: 'once', method })
      assertExecuted(first, 201)
      assertReplay(first, await bench.send({ key: 'once', method }))
    }
    assert.equal(bench.effects, 4)
  }),

  httpCase('another query string under one key is a reuse', {}, async (bench) => {
    const first = await bench.send({ key: 'query', path: '/payments?dry=1' })
    assertProblem(await bench.send({ key: 'query', path: '/payments?dry=0' }), KEY_REUSED)
    assertProblem(await bench.send({ key: 'query', path: '/payments' }), KEY_REUSED)
    assertReplay(first, await bench.send({ key: 'query', path: '/payments?dry=1' }))
    assert.equal(bench.effects, 1)
  }),

  httpCase(
    'a changed body or media type is a reuse, shows nothing stored and spoils nothing',
    {},
    async (bench) => {
      const first = await bench.send({ key: 'body' })
      assertExecuted(first, 201)
      assertProblem(await bench.send({ key: 'body', body: '{"order":"o-8"}' }), KEY_REUSED)
      assertProblem(await bench.send({ key: 'body', body: '' }), KEY_REUSED)
      assertProblem(await bench.send({ key: 'body', headers: [['content-type', 'text/plain']] }), KEY_REUSED)
      assertReplay(first, await bench.send({ key: 'body' }))
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a reuse is refused while the first still runs, and the first is untouched',
    {
      app: async (request, bench) => {
        await bench.gate().opened
        return bench.pay(request)
      },
    },
    async (bench) => {
      const running = bench.send({ key: 'body' })
      await bench.effectsReach(1)
      assertProblem(await bench.send({ key: 'body', body: '{"order":"o-8"}' }), KEY_REUSED)
      bench.gate().open()
      const answer = await running
      assertExecuted(answer, 201)
      assertReplay(answer, await bench.send({ key: 'body' }))
      assert.equal(bench.effects, 1)
    },
  ),
]
