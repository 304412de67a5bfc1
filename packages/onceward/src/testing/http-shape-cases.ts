import assert from 'node:assert/strict'
import { gzipSync } from 'node:zlib'
import { assertExecuted, assertReplay } from './http-assertions.ts'
import { type HttpBench, type HttpCase, httpCase } from './http-bench.ts'
import { chunks } from './http-chunks.ts'
import { field, type RawResponse } from './http-connection.ts'
import { JSON_TYPE } from './http-request.ts'
import type { AppRequest, AppResponse } from './http-target.ts'

const BINARY: readonly [string, string] = ['content-type', 'application/octet-stream']

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

/** Answers of every shape, and which of them are stored: SECURITY-CASES 21 and 22, and the breaks of the peers. */
export const shapeCases: readonly HttpCase[] = [
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
  replayed('an answer written past the framework', (request, bench) => ({
    ...bench.pay(request),
    idiom: 'raw',
  })),
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
]
