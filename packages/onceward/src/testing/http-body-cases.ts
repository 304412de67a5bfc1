import assert from 'node:assert/strict'
import { assertExecuted, assertReplay } from './http-assertions.ts'
import { type HttpBench, type HttpCase, httpCase } from './http-bench.ts'
import { assertProblem, KEY_REUSED } from './http-problem.ts'
import { encodeRequest, JSON_TYPE } from './http-request.ts'

const TOO_LARGE = { status: 413, code: 'body-too-large', retryable: false, effect: 'none' } as const
/** Request bodies: SECURITY-CASES 38, 42 and 43, and the row on the fingerprint cap of DESIGN.md §6. */
export const bodyCases: readonly HttpCase[] = [
  httpCase('the application gets the body byte for byte', {}, async (bench) => {
    const bytes = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256))
    const bodies = [bytes, Buffer.alloc(0), Buffer.from('{"a":1}'), Buffer.alloc(200_000, 'x')]
    for (const [index, body] of bodies.entries()) {
      const headers = [['content-type', 'application/octet-stream']] as const
      assertExecuted(await bench.send({ key: `body-${index}`, body, headers }), 201)
      const got = bench.seen.at(-1)
      assert.ok(
        got && body.equals(got.body),
        `the application got ${got?.body.length} bytes of ${body.length}`,
      )
    }
  }),

  httpCase('an empty body and no body at all are the same input', {}, async (bench) => {
    const first = await bench.send({ key: 'empty', body: '', headers: [JSON_TYPE] })
    assertExecuted(first, 201)
    assertReplay(first, await bench.send({ key: 'empty', body: null, headers: [JSON_TYPE] }))
    assertReplay(first, await bench.send({ key: 'empty', body: '', chunkBytes: 1, headers: [JSON_TYPE] }))
    assert.equal(bench.effects, 1)
  }),

  httpCase('how a body is cut into chunks does not matter', {}, async (bench) => {
    const body = JSON.stringify({ order: 'o-7', items: Array.from({ length: 50 }, (_, index) => index) })
    const first = await bench.send({ key: 'chunked', body })
    assertExecuted(first, 201)
    for (const chunkBytes of [1, 7, 100_000])
      assertReplay(first, await bench.send({ key: 'chunked', body, chunkBytes }))
    assert.equal(bench.effects, 1)
    assertExecuted(await bench.send({ key: 'chunked-first', body, chunkBytes: 7 }), 201)
    assert.equal(Buffer.from(bench.seen.at(-1)?.body ?? []).toString(), body)
  }),

  httpCase('bodies that differ in their last byte only are different inputs', {}, async (bench) => {
    const long = Buffer.alloc(300_000, 'a')
    const first = await bench.send({ key: 'long', body: long })
    assertExecuted(first, 201)
    const changed = Buffer.from(long)
    changed[changed.length - 1] = 98
    assertProblem(await bench.send({ key: 'long', body: changed }), KEY_REUSED)
    assertProblem(
      await bench.send({ key: 'long', body: Buffer.concat([long, Buffer.from('a')]) }),
      KEY_REUSED,
    )
    assertProblem(await bench.send({ key: 'long', body: long.subarray(1) }), KEY_REUSED)
    assertReplay(first, await bench.send({ key: 'long', body: long }))
    assert.equal(bench.effects, 1)
  }),

  httpCase(
    'a body over the cap is refused, holds no claim and is never cut short',
    { options: { maxBodyBytes: 1000 } },
    async (bench) => {
      const over = Buffer.alloc(1001, 'a')
      assertProblem(await bench.send({ key: 'cap', body: over }), TOO_LARGE)
      assertProblem(await bench.send({ key: 'cap', body: over, chunkBytes: 100 }), TOO_LARGE)
      assert.equal(bench.effects, 0)
      const first = await bench.send({ key: 'cap', body: over.subarray(0, 1000) })
      assertExecuted(first, 201)
      assert.equal(bench.seen.at(-1)?.body.length, 1000)
      assertReplay(first, await bench.send({ key: 'cap', body: over.subarray(0, 1000), chunkBytes: 100 }))
      assertProblem(await bench.send({ key: 'cap', body: over }), TOO_LARGE)
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a body far over the cap is refused without being read to its end',
    { options: { maxBodyBytes: 1000 }, needs: ['unreadBody'] },
    async (bench) => {
      const connection = await bench.connect()
      const head = Buffer.from(encodeRequest({ key: 'huge', body: '' })).toString('latin1')
      connection.write(head.replace('content-length: 0', `content-length: ${2 ** 40}`))
      connection.write(Buffer.alloc(2000, 'a'))
      assertProblem(await bench.receive(connection), TOO_LARGE)
      assert.equal(bench.effects, 0)
    },
  ),

  httpCase('who sends far too much still learns why', { options: { maxBodyBytes: 1000 } }, async (bench) => {
    const body = Buffer.alloc(5_000_000, 'a')
    assertProblem(await bench.send({ key: 'flood', body }), TOO_LARGE)
    assertProblem(await bench.send({ key: 'flood', body, chunkBytes: 65_536 }), TOO_LARGE)
    assertExecuted(await bench.send({ key: 'flood', body: 'small' }), 201)
    assert.equal(bench.effects, 1)
  }),

  httpCase('a body without a key may be of any size', { options: { maxBodyBytes: 1000 } }, async (bench) => {
    assertExecuted(await bench.send({ body: Buffer.alloc(50_000, 'a') }), 201)
    assert.equal(bench.seen.at(-1)?.body.length, 50_000)
  }),

  httpCase('a request whose body never ends runs nothing and holds nothing', {}, async (bench) => {
    const connection = await bench.connect()
    const bytes = encodeRequest({ key: 'half' })
    connection.write(bytes.subarray(0, bytes.length - 5))
    assertExecuted(await bench.send({ key: 'other' }), 201)
    connection.destroy()
    const first = await bench.send({ key: 'half' })
    assertExecuted(first, 201)
    assert.equal(bench.effects, 2, 'half a request was run')
  }),

  httpCase('a million nested brackets are bytes like others', {}, async (bench) => {
    const body = '['.repeat(1_000_000)
    const first = await bench.send({ key: 'deep', body })
    assertExecuted(first, 201)
    assertReplay(first, await bench.send({ key: 'deep', body }))
    assert.equal(bench.effects, 1)
  }),

  httpCase(
    'where JSON is compared by its canonical form, spacing and order do not matter',
    {
      options: { canonicalJson: true },
      needs: ['canonicalJson'],
    },
    async (bench) => {
      const first = await bench.send({ key: 'json', body: '{"a":1,"b":[true,null]}' })
      assertExecuted(first, 201)
      assertReplay(first, await bench.send({ key: 'json', body: '{ "b": [true, null],\n "a": 1.0 }' }))
      assertProblem(await bench.send({ key: 'json', body: '{"a":2,"b":[true,null]}' }), KEY_REUSED)
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'where JSON is compared by its canonical form, a million brackets are refused',
    {
      options: { canonicalJson: true },
      needs: ['canonicalJson'],
    },
    async (bench) => {
      for (const body of ['['.repeat(1_000_000), `${'['.repeat(500_000)}${']'.repeat(500_000)}`]) {
        const response = await bench.send({ key: 'deep', body })
        assertProblem(response, { status: 400, code: 'request-invalid', retryable: false, effect: 'none' })
      }
      assert.equal(bench.effects, 0)
      assertExecuted(await bench.send({ key: 'deep', body: '{"fine":true}' }), 201)
    },
  ),

  httpCase(
    'what a refused request carries is never taken for the next one',
    {
      options: { maxBodyBytes: 100, requireKey: true },
    },
    async (bench) => {
      const hidden = encodeRequest({ key: 'smuggled' })
      const padded = Buffer.concat([Buffer.from(hidden), Buffer.alloc(200, 'a')])
      await refusedThenNext(bench, { key: 'too-large', body: padded })
      await refusedThenNext(bench, { key: 'too-large', body: padded, chunkBytes: 50 })
      await refusedThenNext(bench, { key: '', body: hidden })
      await refusedThenNext(bench, { body: hidden })
      await refusedThenNext(bench, { key: 'no-scope', body: hidden, tenant: null })
      assert.ok(
        !bench.seen.some((request) => request.headers['idempotency-key'] === 'smuggled'),
        'a body was run as a request',
      )
    },
  ),
]

/** Sends a request that is refused and a good one behind it: the good one is answered, or the connection is closed. */
async function refusedThenNext(bench: HttpBench, request: Parameters<HttpBench['send']>[0]): Promise<void> {
  const connection = await bench.connect()
  const follower = { key: `next-${bench.seen.length}`, method: 'DELETE' }
  bench.write(connection, request)
  bench.write(connection, follower)
  const before = bench.effects
  const refused = await bench.receive(connection, request)
  assert.ok(refused.status >= 400 && refused.status < 500, `answered ${refused.status}`)
  const response = await bench.receive(connection, follower).catch(() => undefined)
  // The server may close instead: the client then knows that the second request was not taken.
  if (response !== undefined) assertExecuted(response, 201)
  assert.ok(bench.effects <= before + 1)
}
