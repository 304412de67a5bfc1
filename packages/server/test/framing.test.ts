import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Gateway } from '../src/gateway/start-gateway.ts'
import { gatewayBefore, sendRaw, startUpstream, type Upstream, until } from './support/servers.ts'

describe('framing', () => {
  let upstream: Upstream
  let gateway: Gateway
  beforeAll(async () => {
    upstream = await startUpstream((_, response) => void response.end('reached'))
    gateway = await gatewayBefore(upstream.url, {
      scope: 'header:X-Tenant',
      routes: [{ path: '/admin/*', key: 'required' }],
      maxHeaders: 50,
    })
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.close()
  })

  const head = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`
  const plain = ['POST /p HTTP/1.1', 'Host: a', 'Connection: close']

  const refused: readonly (readonly [name: string, bytes: string, status: number])[] = [
    [
      'Content-Length beside Transfer-Encoding',
      `${head(...plain, 'Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
      400,
    ],
    [
      'two different Content-Length',
      `${head(...plain, 'Content-Length: 5', 'Content-Length: 6')}hello!`,
      400,
    ],
    ['two equal Content-Length', `${head(...plain, 'Content-Length: 5', 'Content-Length: 5')}hello`, 400],
    ['a list as Content-Length', `${head(...plain, 'Content-Length: 5, 5')}hello`, 400],
    ['a signed Content-Length', `${head(...plain, 'Content-Length: +5')}hello`, 400],
    [
      'two Transfer-Encoding',
      `${head(...plain, 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity')}0\r\n\r\n`,
      400,
    ],
    ['a disguised Transfer-Encoding', `${head(...plain, 'Transfer-Encoding: xchunked')}0\r\n\r\n`, 400],
    [
      'Transfer-Encoding in HTTP/1.0',
      `${head('POST /p HTTP/1.0', 'Host: a', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
      400,
    ],
    ['a space before the colon', `${head(...plain, 'Content-Length : 5')}hello`, 400],
    ['a folded line', head(...plain, 'X-Folded: a', ' b'), 400],
    ['a bare LF', 'POST /p HTTP/1.1\nHost: a\nContent-Length: 0\n\n', 400],
    ['a bare CR in a value', head(...plain, 'X-A: a\rX-B: b'), 400],
    ['two Host', head('GET /p HTTP/1.1', 'Host: a', 'Host: b'), 400],
    ['no Host', head('GET /p HTTP/1.1', 'Connection: close'), 400],
    ['a Host with a user', head('GET /p HTTP/1.1', 'Host: a@b'), 400],
    [
      'Connection naming the key',
      head('POST /p HTTP/1.1', 'Host: a', 'Connection: close, Idempotency-Key', 'Idempotency-Key: k'),
      400,
    ],
    [
      'Connection naming the scope field',
      head('POST /p HTTP/1.1', 'Host: a', 'Connection: x-tenant', 'X-Tenant: t'),
      400,
    ],
    [
      'Connection naming a forwarding field',
      head('GET /p HTTP/1.1', 'Host: a', 'Connection: X-Forwarded-For'),
      400,
    ],
    ['an absolute target', head('GET http://evil.example/p HTTP/1.1', 'Host: a'), 400],
    ['a target without a scheme', head('GET //evil.example/p HTTP/1.1', 'Host: a'), 400],
    ['a target that becomes one', head('GET /x/..//evil.example HTTP/1.1', 'Host: a'), 400],
    ['a backslash in the target', head('GET /\\evil.example HTTP/1.1', 'Host: a'), 400],
    ['dot segments behind an encoded slash', head('GET /a/..%2fadmin HTTP/1.1', 'Host: a'), 400],
    ['a broken escape', head('GET /a%zz HTTP/1.1', 'Host: a'), 400],
    ['an asterisk target', head('OPTIONS * HTTP/1.1', 'Host: a'), 400],
    [
      'too many header lines',
      head('GET /p HTTP/1.1', 'Host: a', ...Array.from({ length: 51 }, (_, n) => `X-${n}: 1`)),
      431,
    ],
    ['a header that is too long', head('GET /p HTTP/1.1', 'Host: a', `X-Long: ${'a'.repeat(20_000)}`), 431],
    [
      'an upgrade to h2c',
      head(
        'GET /p HTTP/1.1',
        'Host: a',
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: x',
      ),
      400,
    ],
    [
      'an upgrade beside WebSocket',
      head('GET /p HTTP/1.1', 'Host: a', 'Connection: Upgrade', 'Upgrade: websocket, h2c'),
      400,
    ],
    [
      'a WebSocket by POST',
      head('POST /p HTTP/1.1', 'Host: a', 'Connection: Upgrade', 'Upgrade: websocket'),
      400,
    ],
  ]
  it.each(refused)('refuses %s, closes, and asks nobody', async (_, bytes, status) => {
    const before = upstream.seen.length
    const answer = await sendRaw(gateway.url, bytes)
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(answer).toContain('application/problem+json')
    expect(answer.match(/^HTTP\/1\.1 /gm)).toHaveLength(1)
    expect(upstream.seen).toHaveLength(before)
  })

  describe('with little patience', () => {
    // Of its own: the others must not be told that they are slow when the machine is.
    let impatient: Gateway
    beforeAll(async () => {
      const timeouts = { headersTimeoutMs: 400, bodyTimeoutMs: 400 }
      impatient = await gatewayBefore(upstream.url, { scope: 'header:X-Tenant', ...timeouts })
    })
    afterAll(() => impatient.stop())

    it('answers 408 to a header that comes too slowly', async () => {
      const begun = 'GET /p HTTP/1.1\r\nHost: a\r\nX-'
      expect(await sendRaw(impatient.url, begun)).toMatch(/^HTTP\/1\.1 408 /)
    })

    it.each([
      ['with a key', ['X-Tenant: t', 'Idempotency-Key: slow']],
      ['without a key', []],
    ])('answers 408 to a body that stops coming, %s', async (_, lines) => {
      const bytes = head('POST /p HTTP/1.1', 'Host: a', 'Content-Length: 100', ...lines)
      expect(await sendRaw(impatient.url, `${bytes}part`)).toMatch(/^HTTP\/1\.1 408 /)
    })
  })

  it('answers 400 to a chunk that is none', async () => {
    const bytes = head(
      'POST /p HTTP/1.1',
      'Host: a',
      'X-Tenant: t',
      'Idempotency-Key: chunk',
      'Transfer-Encoding: chunked',
    )
    expect(await sendRaw(gateway.url, `${bytes}zz\r\n`)).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('does not answer a whole request with the fault of what follows it', async () => {
    let finish: () => void = () => {}
    const slow = await startUpstream(async (_, response) => {
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      response.end('done')
    })
    const before = await gatewayBefore(slow.url)
    const whole = head('POST /p HTTP/1.1', 'Host: a', 'Idempotency-Key: k', 'Content-Length: 0')
    const { hostname, port } = new URL(before.url)
    const socket = connect(Number(port), hostname)
    let received = ''
    socket.on('data', (bytes) => {
      received += String(bytes)
    })
    socket.write(whole)
    await until(() => slow.seen.length === 1)
    socket.write('GARBAGE\r\n\r\n')
    await once(socket, 'close')
    expect(received).toBe('')
    finish()
    await before.stop()
    await slow.close()
  })

  it('lets a key in a trailer count for nothing', async () => {
    const answer = await sendRaw(
      gateway.url,
      `${head('POST /admin/x HTTP/1.1', 'Host: a', 'X-Tenant: t', 'Connection: close', 'Transfer-Encoding: chunked', 'Trailer: Idempotency-Key')}0\r\nIdempotency-Key: t\r\n\r\n`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('key-missing')
  })

  it.each(['/a/../admin/x', '/a/%2e%2e/admin/x', '/%61dmin/x', '/admin//x', '/./admin/x/'])(
    'finds the route of %s',
    async (target) => {
      const answer = await sendRaw(
        gateway.url,
        head(`POST ${target} HTTP/1.1`, 'Host: a', 'X-Tenant: t', 'Connection: close', 'Content-Length: 0'),
      )
      expect(answer).toContain('key-missing')
    },
  )

  it('sends one Content-Length upstream, however the client writes it', async () => {
    await sendRaw(
      gateway.url,
      `${head('POST /len HTTP/1.1', 'Host: a', 'Connection: close', 'CONTENT-length: 2')}hi`,
    )
    const seen = upstream.seen.at(-1)
    expect(seen?.body).toBe('hi')
    expect(seen?.rawHeaders.filter((name) => name.toLowerCase() === 'content-length')).toHaveLength(1)
  })

  it('processes nothing that follows a refused request', async () => {
    const before = upstream.seen.length
    const twoHosts = head('GET /p HTTP/1.1', 'Host: a', 'Host: b')
    const after = head('GET /after HTTP/1.1', 'Host: a', 'Connection: close')
    const received = await sendRaw(gateway.url, twoHosts + after)
    expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 400'])
    // One more on a connection of its own, so that the one before has had its time.
    await sendRaw(gateway.url, head('GET /last HTTP/1.1', 'Host: a', 'Connection: close'))
    expect(upstream.seen.slice(before).map(({ url }) => url)).toEqual(['/last'])
  })
})
