import assert from 'node:assert/strict'
import type { ConformanceCase } from './conformance-case.ts'
import { assertExecuted, assertReplay } from './http-assertions.ts'
import { bindCases, type HttpBench, type HttpCase, httpCase } from './http-bench.ts'
import { field } from './http-connection.ts'
import { CANARY_PREFIX } from './http-problem.ts'
import { encodeRequest, TENANT } from './http-request.ts'
import type { HttpConformanceOptions, StartHttp } from './http-target.ts'

/** Sends raw bytes that must be refused with one status, once, on a connection that is closed, and reach nobody. */
function refused(name: string, status: number, ...requests: readonly (string | Uint8Array)[]): HttpCase {
  return httpCase(`${name} is refused, and nobody is asked`, {}, async (bench) => {
    for (const request of requests) {
      const connection = await bench.connect()
      connection.write(request)
      const response = await bench.receive(connection)
      const seen = `${JSON.stringify(Buffer.from(request).toString('latin1').slice(0, 160))} was answered ${response.status}`
      assert.equal(response.status, status, seen)
      assert.match(field(response, 'content-type') ?? '', /^application\/problem\+json/, seen)
      assert.ok(!response.body.includes(CANARY_PREFIX))
      await connection.waitForEnd()
      assert.equal(
        connection.pending.length,
        0,
        `bytes follow the refusal: ${connection.pending.toString('latin1').slice(0, 200)}: ${seen}`,
      )
    }
    assert.equal(bench.seen.length, 0, 'the service behind was asked')
  })
}

/** A request of header lines and a body, with a key and a tenant. */
function raw(line: string, lines: readonly string[], body = ''): string {
  return `${[line, 'Host: 127.0.0.1', `${TENANT}: acme`, 'Idempotency-Key: framed', ...lines].join('\r\n')}\r\n\r\n${body}`
}

const POST = 'POST /payments HTTP/1.1'
const HIDDEN = 'POST /hidden HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'

/** Framing and forwarding: SECURITY-CASES 26 to 37. */
const CASES: readonly HttpCase[] = [
  refused(
    'a body whose length is told twice',
    400,
    raw(POST, ['Content-Length: 5', 'Transfer-Encoding: chunked'], `0\r\n\r\n${HIDDEN}`),
    raw(POST, ['Transfer-Encoding: chunked', 'Content-Length: 5'], `0\r\n\r\n${HIDDEN}`),
    raw(POST, ['Content-Length: 5', 'Content-Length: 5'], `hello${HIDDEN}`),
    raw(POST, ['Content-Length: 5', 'content-length: 6'], `hello!${HIDDEN}`),
    raw(POST, ['Content-Length: 5, 5'], `hello${HIDDEN}`),
    raw(POST, ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
    raw(POST, ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], '0\r\n\r\n'),
  ),
  refused(
    'a length or a coding that is not one',
    400,
    raw(POST, ['Content-Length: +5'], 'hello'),
    raw(POST, ['Content-Length: 0x5'], 'hello'),
    raw(POST, ['Content-Length: -1']),
    raw(POST, ['Transfer-Encoding: xchunked'], '0\r\n\r\n'),
    raw(POST, ['Transfer-Encoding: chunked, identity'], '0\r\n\r\n'),
    raw(POST, ['Transfer-Encoding: gzip, chunked'], '0\r\n\r\n'),
    raw(POST, ['Transfer-Encoding: chunked'], 'zz\r\nhello\r\n0\r\n\r\n'),
  ),
  refused(
    'a malformed header line',
    400,
    raw(POST, ['Content-Length : 5'], 'hello'),
    raw(POST, ['X-Folded: a', ' b']),
    raw(POST, ['X-Folded: a', '\tb']),
    raw(POST, ['X-Bare: a\rX-B: b']),
    raw(POST, ['X-Bare: a\nX-B: b']),
    raw(POST, ['X-Nul: a\x00b']),
    raw(POST, ['NoColon']),
    raw(POST, [': no name']),
    raw(POST, []).replaceAll('\r\n', '\n'),
  ),
  refused(
    'a request with two Host fields',
    400,
    raw(POST, ['Host: evil.example']),
    raw(POST, ['host: 127.0.0.1']),
  ),
  refused('a request without a Host', 400, raw(POST, []).replace('Host: 127.0.0.1\r\n', '')),
  refused(
    'a request with more header lines than are read',
    431,
    raw(
      POST,
      Array.from({ length: 3000 }, (_, index) => `a${index}: b`),
    ),
  ),
  refused('a header of a megabyte', 431, raw(POST, [`X-Long: ${'a'.repeat(1_000_000)}`])),
  refused(
    'a Connection field that names the key or the scope',
    400,
    raw(POST, ['Connection: Idempotency-Key']),
    raw(POST, ['Connection: close, idempotency-key']),
    raw(POST, [`Connection: ${TENANT}`]),
    raw(POST, ['Connection: Content-Length', 'Content-Length: 0']),
    raw(POST, ['Connection: Onceward-Fence']),
  ),
  refused(
    'chunks in HTTP/1.0',
    400,
    raw('POST /payments HTTP/1.0', ['Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n'),
  ),
  refused(
    'a target that names another host',
    400,
    raw('POST http://evil.example/payments HTTP/1.1', []),
    raw('POST //evil.example/payments HTTP/1.1', []),
    raw('POST /x/..//evil.example HTTP/1.1', []),
    raw('POST /\\evil.example HTTP/1.1', []),
    raw('POST evil.example HTTP/1.1', []),
  ),
  refused(
    'an upgrade that is not to WebSocket',
    400,
    raw('GET / HTTP/1.1', [
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABk',
    ]),
  ),

  httpCase('one path has one identity, however it is written', {}, async (bench) => {
    const first = await bench.send({ key: 'path', path: '/payments/7' })
    assertExecuted(first, 201)
    for (const path of [
      '/%70ayments/7',
      '/payments/%37',
      '/./payments/7',
      '/a/../payments/7',
      '/a/%2e%2e/payments/7',
    ]) {
      const again = await bench.send({ key: 'path', path })
      if (again.status !== 400) assertReplay(first, again)
    }
    assert.equal(bench.effects, 1)
    for (const { path } of bench.seen) assert.equal(path, '/payments/7')
  }),

  httpCase('a key in a trailer is no key', { options: { requireKey: true } }, async (bench) => {
    const connection = await bench.connect()
    const request = raw(POST, ['Transfer-Encoding: chunked', 'Trailer: Idempotency-Key'], '2\r\n{}\r\n0\r\n')
    connection.write(`${request.replace('Idempotency-Key: framed\r\n', '')}Idempotency-Key: late\r\n\r\n`)
    const response = await bench.receive(connection)
    assert.equal(response.status, 400)
    assert.ok(response.body.includes('key-missing'))
    assert.equal(bench.effects, 0)
  }),

  httpCase('the service gets the key, the fence and the attempt, and no forged ones', {}, async (bench) => {
    assertExecuted(await bench.send({ key: '"told"', headers: FORGED }), 201)
    const first = seen(bench, 0)
    assert.match(first['idempotency-key'] ?? 'absent', /^"?told"?$/)
    assert.match(first['onceward-fence'] ?? 'absent', /^[1-9]\d{9,}$/)
    assert.equal(first['onceward-attempt'], '1')
    assert.equal(first['onceward-effect'], undefined)
    assertExecuted(await bench.send({ headers: FORGED }), 201)
    const unkeyed = seen(bench, 1)
    for (const name of ['onceward-fence', 'onceward-attempt', 'onceward-effect'])
      assert.equal(unkeyed[name], undefined, `${name} of a client reached the service`)
  }),

  httpCase('connection fields of the client stay with its connection', {}, async (bench) => {
    const headers = [
      ['Connection', 'close, X-Hop'],
      ['X-Hop', 'secret'],
      ['Keep-Alive', 'timeout=77'],
      ['Proxy-Authorization', 'Basic secret'],
      ['Proxy-Connection', 'keep-alive'],
      ['TE', 'trailers'],
    ] as const
    for (const key of ['hop', undefined]) {
      const connection = await bench.connect()
      connection.write(encodeRequest({ headers, ...(key === undefined ? {} : { key }) }))
      assertExecuted(await bench.receive(connection), 201)
    }
    for (const { headers: got } of bench.seen)
      for (const name of ['x-hop', 'proxy-authorization', 'proxy-connection', 'te'])
        assert.equal(got[name], undefined, `${name} was passed on`)
  }),

  httpCase('what a client sends about its length reaches the service once', {}, async (bench) => {
    const connection = await bench.connect()
    connection.write(raw(POST, ['cOnTeNt-LeNgTh: 5', 'content-type: text/plain'], 'hello'))
    assertExecuted(await bench.receive(connection), 201)
    assert.equal(seen(bench, 0)['content-length'], '5')
    assert.equal(Buffer.from(bench.seen[0]?.body ?? []).toString(), 'hello')
  }),

  httpCase(
    'an answer without a key flows through unchanged and is not marked',
    {
      app: (request, bench) =>
        bench.pay(request, [
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
          ['x-own', 'kept'],
        ]),
    },
    async (bench) => {
      const response = await bench.send()
      assertExecuted(response, 201)
      assert.deepEqual(
        response.headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value),
        ['a=1', 'b=2'],
      )
      assert.equal(field(response, 'x-own'), 'kept')
      for (const name of ['idempotency-key', 'idempotency-expires', 'idempotent-replayed'])
        assert.equal(field(response, name), undefined)
    },
  ),
]

const FORGED = [
  ['Onceward-Fence', '9007199254740991'],
  ['Onceward-Attempt', '99'],
  ['Onceward-Effect', 'none'],
] as const

/**
 * What a gateway must do besides {@link httpConformance}: refuse what two servers could read in two ways before anybody
 * is asked, and pass on neither connection fields nor forged ones.
 *
 * Limit: whom it believes about `X-Forwarded-*` and the scope field is not seen from this machine, which is trusted.
 *
 * @param start - Puts a plain service behind the gateway and starts it with an empty store.
 */
export function gatewayConformance(
  start: StartHttp,
  options: HttpConformanceOptions = {},
): readonly ConformanceCase[] {
  return bindCases(CASES, start, options)
}

function seen(bench: HttpBench, index: number): Readonly<Record<string, string | undefined>> {
  const request = bench.seen[index]
  assert.ok(request, `the service got ${bench.seen.length} requests`)
  return request.headers
}
