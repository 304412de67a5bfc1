import assert from 'node:assert/strict'
import { systemClock } from '../core/system.ts'
import { assertExecuted, assertReplay } from './http-assertions.ts'
import { type HttpCase, httpCase } from './http-bench.ts'
import { field, type RawResponse } from './http-connection.ts'

/** How a stored answer is told again: SECURITY-CASES 17 to 19 and 45, and the row on expiry of DESIGN.md §6. */
export const replayCases: readonly HttpCase[] = [
  httpCase(
    "the first answer is the application's, echoes the key and tells its expiry",
    {
      app: (request, bench) =>
        bench.pay(request, [
          ['set-cookie', 'session=1'],
          ['x-custom', 'kept'],
        ]),
      options: { retentionMs: 3_600_000 },
    },
    async (bench) => {
      const response = await bench.send({ key: '"first"' })
      assertExecuted(response, 201)
      assert.deepEqual(JSON.parse(response.body.toString()), { id: 1, canary: bench.canary('acme') })
      assert.equal(field(response, 'location'), '/payments/1')
      assert.equal(field(response, 'set-cookie'), 'session=1', 'the first caller is owed its cookie')
      assert.equal(field(response, 'x-custom'), 'kept', 'the first caller is owed every field')
      assert.match(field(response, 'idempotency-key') ?? 'absent', /^"?first"?$/)
      assertExpiry(response, 3_600_000)
    },
  ),

  httpCase(
    'a replay has the marker, the key, the expiry and no-store',
    {
      options: { retentionMs: 3_600_000 },
      app: (request, bench) => bench.pay(request, [['cache-control', 'public, max-age=600']]),
    },
    async (bench) => {
      const first = await bench.send({ key: 'marked' })
      const again = await bench.send({ key: 'marked' })
      assertReplay(first, again)
      assert.doesNotMatch(field(again, 'cache-control') ?? '', /public|max-age/)
      assert.match(field(again, 'idempotency-key') ?? 'absent', /^"?marked"?$/)
      assertExpiry(again, 3_600_000)
    },
  ),

  httpCase(
    'no cookie, credential, connection field or date is ever told again',
    {
      app: (request, bench) =>
        bench.pay(request, [
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
          ['authorization', 'Bearer leak'],
          ['www-authenticate', 'Basic'],
          ['proxy-authenticate', 'Basic'],
          ['proxy-authorization', 'Basic leak'],
          ['authentication-info', 'nextnonce=leak'],
          ['x-session-token', 'leak'],
          ['date', 'Thu, 01 Jan 2015 00:00:00 GMT'],
          ['age', '77'],
          ['keep-alive', 'timeout=77'],
          ['proxy-connection', 'leak'],
        ]),
    },
    async (bench) => {
      const first = await bench.send({ key: 'strip' })
      const again = await bench.send({ key: 'strip' })
      assertReplay(first, again)
      for (const name of [
        'authorization',
        'www-authenticate',
        'proxy-authenticate',
        'proxy-authorization',
        'age',
      ])
        assert.equal(field(again, name), undefined, `${name} is told again`)
      for (const name of [
        'set-cookie',
        'set-cookie2',
        'authentication-info',
        'x-session-token',
        'trailer',
        'upgrade',
      ])
        assert.equal(field(again, name), undefined, `${name} is told again`)
      assert.notEqual(field(again, 'keep-alive'), 'timeout=77')
      assert.doesNotMatch(field(again, 'date') ?? '', /2015/, 'the date of the first answer is told again')
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'what is stored cannot reach into prototypes',
    {
      app: (request, bench) => ({ ...bench.pay(request), body: request.body }),
    },
    async (bench) => {
      const body = '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'
      const first = await bench.send({ key: 'proto', body })
      assert.equal(first.body.toString(), body)
      assertReplay(first, await bench.send({ key: 'proto', body }))
      assert.equal(Reflect.get({}, 'polluted'), undefined)
    },
  ),

  httpCase(
    'a finished operation is forgotten after its retention and may run again',
    {
      options: { retentionMs: 1000 },
    },
    async (bench) => {
      const first = await bench.send({ key: 'short' })
      assertExpiry(first, 1000)
      await bench.resend({ key: 'short' }, (response) => field(response, 'idempotent-replayed') === undefined)
      assert.equal(bench.effects, 2)
    },
  ),
]

/** Asserts an HTTP date about `retentionMs` from now; the field counts whole seconds. */
function assertExpiry(response: RawResponse, retentionMs: number): void {
  const value = field(response, 'idempotency-expires') ?? 'absent'
  const at = Date.parse(value)
  assert.equal(new Date(at).toUTCString(), value, `not an HTTP date: ${value}`)
  const fromNow = at - systemClock.now()
  assert.ok(Math.abs(fromNow - retentionMs) < 5000, `expires ${fromNow} ms from now, not ${retentionMs}`)
}
