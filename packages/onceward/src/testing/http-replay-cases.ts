import assert from 'node:assert/strict'
import { gzipSync } from 'node:zlib'
import { systemClock } from '../core/system.ts'
import {
  assertExecuted,
  assertReplay,
  type HttpBench,
  type HttpCase,
  httpCase,
  JSON_TYPE,
} from './http-bench.ts'
import { field, type RawResponse } from './http-connection.ts'
import { assertProblem } from './http-problem.ts'
import type { AppRequest, AppResponse } from './http-target.ts'

const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))

/** An application with one fixed shape of answer, and a case that it is replayed byte for byte. */
function replayed(
  what: string,
  app: (request: AppRequest, bench: HttpBench) => AppResponse,
  check: (first: RawResponse) => void = () => {},
): HttpCase {
  return httpCase(`${what} is replayed byte for byte and runs once`, { app }, async (bench) => {
    const { status } = app(
      { method: 'POST', path: '/', query: '', headers: {}, body: new Uint8Array() },
      bench,
    )
    const first = await bench.send({ key: 'again' })
    assertExecuted(first, status)
    check(first)
    for (let time = 0; time < 3; time++) assertReplay(first, await bench.send({ key: 'again' }))
    assert.equal(bench.effects, 1)
  })
}

/** What is stored and how it is told again: SECURITY-CASES 17 to 19, 21 and 22, and the breaks of the peers. */
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

  replayed("JSON by the framework's own idiom", (request, bench) => ({
    ...bench.pay(request),
    idiom: 'json',
  })),
  replayed(
    'a streamed answer',
    (request, bench) => ({
      status: 200,
      headers: [['content-type', 'text/plain']],
      body: chunks([Buffer.from(bench.receipt(request)), Buffer.from('second '), Buffer.from('third')]),
      idiom: 'stream',
    }),
    (first) => assert.match(first.body.toString(), /\}second third$/),
  ),
  replayed('a 200', (request, bench) => ({
    status: 200,
    headers: [JSON_TYPE],
    body: bench.receipt(request),
  })),
  replayed('a 202', (request, bench) => ({
    status: 202,
    headers: [JSON_TYPE],
    body: bench.receipt(request),
  })),
  replayed('a 204', () => ({ status: 204 })),
  replayed('a 204 with a location', () => ({ status: 204, headers: [['location', '/payments/1']] })),
  replayed('a 205', () => ({ status: 205 })),
  replayed('a 304', () => ({ status: 304, headers: [['etag', '"v1"']] })),
  replayed(
    'an empty 200',
    () => ({ status: 200 }),
    (first) => assert.equal(first.body.length, 0),
  ),
  replayed('an empty body with a media type', () => ({ status: 201, headers: [JSON_TYPE], body: '' })),
  replayed('a body of one NUL byte', () => ({ status: 200, headers: [BINARY], body: Buffer.from([0]) })),
  ...[301, 302, 303, 307, 308].map((status) =>
    replayed(
      `a ${status} redirect`,
      (_, bench) => ({
        status,
        headers: [['location', `/payments/${bench.effects || 1}?from=a%20b`]],
        idiom: 'redirect',
      }),
      (first) => assert.equal(field(first, 'location'), '/payments/1?from=a%20b'),
    ),
  ),
  replayed(
    'a binary answer of every byte',
    () => ({ status: 200, headers: [BINARY], body: ALL_BYTES }),
    (first) => assert.ok(first.body.equals(ALL_BYTES), 'the first answer is not what the application said'),
  ),
  replayed(
    'a streamed binary answer',
    () => ({
      status: 200,
      headers: [BINARY],
      body: chunks([ALL_BYTES, ALL_BYTES.toReversed()]),
      idiom: 'stream',
    }),
    (first) => assert.equal(first.body.length, 512),
  ),
  replayed('text that is not ASCII', () => ({
    status: 200,
    headers: [['content-type', 'text/plain; charset=utf-8']],
    body: 'Grüße, 東京 🙂 \u2028',
  })),
  replayed('an answer that tells its own length', (request, bench) => {
    const body = Buffer.from(bench.receipt(request))
    return { status: 200, headers: [JSON_TYPE, ['content-length', `${body.length}`]], body }
  }),
  replayed(
    'a field that is repeated or not ASCII',
    (request, bench) => ({
      ...bench.pay(request),
      // As bytes: before a text node:http encodes the fields like the text.
      body: Buffer.from(bench.receipt(request)),
      headers: [
        JSON_TYPE,
        ['link', '</a>; rel="next"'],
        ['link', '</caf\xe9>; rel="last"'],
        ['content-disposition', 'attachment; filename="a.txt"'],
      ],
    }),
    (first) => {
      assert.match(field(first, 'link') ?? '', /<\/a>.*<\/caf\xe9>/)
      assert.equal(field(first, 'content-disposition'), 'attachment; filename="a.txt"')
    },
  ),
  replayed(
    'a compressed answer',
    () => ({
      status: 200,
      headers: [JSON_TYPE, ['content-encoding', 'gzip']],
      body: gzipSync('{"zipped":true}'),
    }),
    (first) => {
      assert.equal(field(first, 'content-encoding'), 'gzip')
      assert.equal(first.body.readUInt16BE(0), 0x1f8b, 'the answer was unpacked or packed twice')
    },
  ),
  ...[400, 404, 409, 410, 422].map((status) =>
    replayed(`a ${status} of the application`, (request, bench) => ({
      status,
      headers: [JSON_TYPE],
      body: bench.receipt(request),
    })),
  ),

  ...[401, 403, 408, 425, 429].map((status) =>
    httpCase(
      `a ${status} is not stored: the next attempt runs`,
      {
        app: (request, bench) =>
          bench.effects === 1
            ? { status, headers: [JSON_TYPE], body: bench.receipt(request) }
            : bench.pay(request),
      },
      async (bench) => {
        assertExecuted(await bench.send({ key: 'later' }), status)
        const second = await bench.send({ key: 'later' })
        assertExecuted(second, 201)
        assertReplay(second, await bench.send({ key: 'later' }))
        assert.equal(bench.effects, 2)
      },
    ),
  ),

  httpCase(
    'an answer over the cap reaches its caller whole and is never run again',
    {
      options: { maxResponseBytes: 1000 },
      app: (request, bench) => ({ ...bench.pay(request), body: bench.receipt(request).padEnd(4000) }),
    },
    async (bench) => {
      const first = await bench.send({ key: 'large' })
      assertExecuted(first, 201)
      assert.equal(first.body.length, 4000)
      for (let time = 0; time < 2; time++) assertProblem(await bench.send({ key: 'large' }), NOT_REPLAYABLE)
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'an answer of exactly the cap is replayed',
    {
      options: { maxResponseBytes: 1000 },
      app: (request, bench) => ({ ...bench.pay(request), body: bench.receipt(request).padEnd(1000) }),
    },
    async (bench) => {
      const first = await bench.send({ key: 'fits' })
      assert.equal(first.body.length, 1000)
      assertReplay(first, await bench.send({ key: 'fits' }))
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a stream beyond the cap flows to its caller while the application still writes',
    {
      options: { maxResponseBytes: 1000 },
      app: (request, bench) => ({
        ...bench.pay(request),
        body: chunks([Buffer.alloc(600, 'a'), Buffer.alloc(600, 'b')], bench.gate().opened),
        idiom: 'stream',
      }),
    },
    async (bench) => {
      const connection = await bench.connect()
      bench.write(connection, { key: 'flow' })
      await connection.waitForText('bbb')
      const meanwhile = await bench.send({ key: 'flow', headers: [['Prefer', 'wait=0']] })
      assert.equal(meanwhile.status, 409, 'a duplicate was answered with half a stream, or run')
      bench.gate().open()
      const first = await bench.receive(connection)
      assert.equal(first.truncated, false)
      assert.equal(first.body.toString(), `${'a'.repeat(600)}${'b'.repeat(600)}end`)
      assertProblem(await bench.send({ key: 'flow' }), NOT_REPLAYABLE)
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a large answer whose client leaves midway is never run again',
    {
      options: { maxResponseBytes: 1000 },
      app: (request, bench) => ({
        ...bench.pay(request),
        body: chunks([Buffer.alloc(600, 'a'), Buffer.alloc(600, 'b')], bench.gate().opened),
        idiom: 'stream',
      }),
    },
    async (bench) => {
      const connection = await bench.connect()
      bench.write(connection, { key: 'flow' })
      await connection.waitForText('bbb')
      connection.destroy()
      bench.gate().open()
      assertProblem(await bench.resend({ key: 'flow' }, isNotReplayable), NOT_REPLAYABLE)
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'an answer that breaks off midway is not complete: its outcome is unknown',
    {
      app: (request, bench) => ({
        ...bench.pay(request),
        body: breakingOff(Buffer.from(bench.receipt(request))),
        idiom: 'stream',
      }),
    },
    async (bench) => {
      const first = await bench.sendLoosely({ key: 'broken' })
      assert.ok(
        first === undefined || first.truncated || first.status >= 500,
        'half an answer was passed off as whole',
      )
      assertProblem(await bench.send({ key: 'broken' }), {
        status: 409,
        code: 'outcome-unknown',
        retryable: false,
        effect: 'unknown',
      })
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

const BINARY: readonly [string, string] = ['content-type', 'application/octet-stream']

const NOT_REPLAYABLE = {
  status: 409,
  code: 'response-not-replayable',
  retryable: false,
  effect: 'done',
  members: { status: 201, location: '/payments/1' },
} as const

function isNotReplayable(response: RawResponse): boolean {
  return response.body.includes('response-not-replayable')
}

/** Chunks one by one, with a turn of the event loop between; `end` is written once `before` is open. */
async function* chunks(parts: readonly Uint8Array[], before?: Promise<void>): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    yield part
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  if (before === undefined) return
  await before
  yield Buffer.from('end')
}

async function* breakingOff(part: Uint8Array): AsyncGenerator<Uint8Array> {
  yield part
  await new Promise<void>((resolve) => setImmediate(resolve))
  throw new Error('the application broke off')
}

/** Asserts an HTTP date about `retentionMs` from now; the field counts whole seconds. */
function assertExpiry(response: RawResponse, retentionMs: number): void {
  const value = field(response, 'idempotency-expires') ?? 'absent'
  const at = Date.parse(value)
  assert.equal(new Date(at).toUTCString(), value, `not an HTTP date: ${value}`)
  const fromNow = at - systemClock.now()
  assert.ok(Math.abs(fromNow - retentionMs) < 5000, `expires ${fromNow} ms from now, not ${retentionMs}`)
}
