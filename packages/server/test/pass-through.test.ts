import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { Config } from '../src/config/config-schema.ts'
import type { Gateway } from '../src/gateway/start-gateway.ts'
import { gatewayBefore, sendRaw, startRaw, startUpstream, type Upstream, until } from './support/servers.ts'

describe('a request without a key', () => {
  const open: { stop?(): unknown; close?(): unknown }[] = []
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await (one.stop?.() ?? one.close?.())
  })
  const keep = <T extends { stop?(): unknown; close?(): unknown }>(one: T): T => {
    open.push(one)
    return one
  }
  const before = async (upstream: Upstream, config: Config = {}): Promise<Gateway> => {
    keep(upstream)
    return keep(await gatewayBefore(upstream.url, config))
  }

  it('passes through with method, target, fields, body and answer as they are', async () => {
    const upstream = await startUpstream((_, response) => {
      response.writeHead(418, 'Short and stout', [
        ['X-Kind', 'a'],
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
        ['Onceward-Effect', 'none'],
      ] as never)
      response.end(Buffer.from([0, 1, 255]))
    })
    const gateway = await before(upstream)
    const answer = await fetch(`${gateway.url}/a/b?q=1&q=2%20`, {
      method: 'POST',
      headers: { 'X-Custom': 'yes' },
      body: 'hello',
    })
    expect(answer.status).toBe(418)
    expect(answer.statusText).toBe('Short and stout')
    expect(answer.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(answer.headers.has('onceward-effect')).toBe(false)
    expect([...new Uint8Array(await answer.arrayBuffer())]).toEqual([0, 1, 255])
    const [seen] = upstream.seen
    expect(seen?.method).toBe('POST')
    expect(seen?.url).toBe('/a/b?q=1&q=2%20')
    expect(seen?.headers['x-custom']).toBe('yes')
    expect(seen?.body).toBe('hello')
    expect(seen?.headers.via).toMatch(/^1\.1 onceward-[0-9a-f]{12}$/)
    expect(seen?.headers['x-forwarded-for']).toBe('127.0.0.1')
    expect(seen?.headers['x-forwarded-proto']).toBe('http')
    expect(seen?.headers.host).toBe(new URL(gateway.url).host)
  })

  it('keeps a key on a safe method from meaning anything', async () => {
    let count = 0
    const upstream = await startUpstream((_, response) => void response.end(String(++count)))
    const gateway = await before(upstream, { requireKey: true })
    const ask = async () => (await fetch(`${gateway.url}/x`, { headers: { 'Idempotency-Key': 'k' } })).text()
    expect([await ask(), await ask()]).toEqual(['1', '2'])
  })

  it('answers HEAD, 204 and 304 without a body', async () => {
    const upstream = await startUpstream((request, response) => {
      if (request.method === 'HEAD') response.writeHead(200, { 'Content-Length': 999 }).end()
      else response.writeHead(Number(request.url.slice(1)), { ETag: '"x"' }).end()
    })
    const gateway = await before(upstream)
    const headed = await fetch(`${gateway.url}/h`, { method: 'HEAD' })
    expect(headed.headers.get('content-length')).toBe('999')
    for (const status of [204, 304]) {
      const answer = await fetch(`${gateway.url}/${status}`)
      expect([answer.status, answer.headers.get('etag'), await answer.text()]).toEqual([status, '"x"', ''])
    }
  })

  it('drops what only trusted peers may say when the peer is not one, and always Onceward-…', async () => {
    const upstream = await startUpstream((_, response) => void response.end())
    const gateway = await before(upstream, { scope: 'header:X-Tenant' })
    await fetch(`${gateway.url}/x`, {
      headers: {
        'X-Forwarded-For': '9.9.9.9',
        'X-Forwarded-Proto': 'https',
        'X-Tenant': 't',
        'Onceward-Fence': '7',
        Onceward_Attempt: '9',
      },
    })
    const [seen] = upstream.seen
    expect(seen?.headers['x-forwarded-for']).toBe('9.9.9.9, 127.0.0.1')
    expect(seen?.headers['x-forwarded-proto']).toBe('https')
    expect(seen?.headers['x-tenant']).toBe('t')
    expect(seen?.rawHeaders.filter((name) => /^onceward/i.test(name))).toEqual([])
  })

  it('streams server-sent events as they come, and tells the upstream when the client goes', async () => {
    let left = false
    let send: (text: string) => void = () => {}
    const upstream = await startRaw((_, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' })
      response.flushHeaders()
      send = (text) => void response.write(text)
      response.once('close', () => {
        left = true
      })
    })
    const gateway = await before(upstream)
    const controller = new AbortController()
    const answer = await fetch(`${gateway.url}/events`, { signal: controller.signal })
    const reader = answer.body?.getReader()
    for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
      send(event)
      const part = await reader?.read()
      expect(Buffer.from(part?.value ?? []).toString()).toBe(event)
    }
    controller.abort()
    await until(() => left)
  })

  it('streams a large upload with flat memory', async () => {
    const size = 256 * 1024 * 1024
    const upstream = await startRaw(async (request, response) => {
      let received = 0
      for await (const chunk of request) {
        received += (chunk as Buffer).length
      }
      response.end(JSON.stringify({ received }))
    })
    const gateway = await before(upstream)
    const chunk = Buffer.alloc(64 * 1024, 7)
    const outgoing = httpRequest(`${gateway.url}/upload`, { method: 'PUT' })
    const answered = once(outgoing, 'response')
    let peak = 0
    const baseline = process.memoryUsage().rss
    for (let sent = 0; sent < size; sent += chunk.length) {
      if (!outgoing.write(chunk)) await once(outgoing, 'drain')
      if (sent % (16 * 1024 * 1024) === 0) peak = Math.max(peak, process.memoryUsage().rss)
    }
    outgoing.end()
    const [answer] = await answered
    let text = ''
    for await (const part of answer) text += String(part)
    expect(JSON.parse(text).received).toBe(size)
    // Client, gateway and upstream are one process here; the whole body in any of them would be 256 MiB more.
    expect(peak - baseline).toBeLessThan(128 * 1024 * 1024)
  })

  it.each([
    ['without a key', {}, 200],
    ['with a key, beyond the cap', { 'Idempotency-Key': 'k' }, 201],
  ])('is read from the upstream no faster than its client reads, %s', async (_, headers, status) => {
    const size = 128 * 1024 * 1024
    let sent = 0
    const upstream = await startRaw(async (request, response) => {
      request.resume()
      response.writeHead(status)
      const chunk = Buffer.alloc(64 * 1024)
      for (; sent < size; sent += chunk.length) {
        if (!response.write(chunk)) await once(response, 'drain')
      }
      response.end()
    })
    const gateway = await before(upstream)
    const request = httpRequest(`${gateway.url}/download`, { method: 'POST', headers, agent: false })
    request.end()
    const [answer] = (await once(request, 'response')) as [IncomingMessage]
    // Nobody reads: what has left the upstream comes to rest at what sockets and streams hold.
    let earlier = -1
    await until(async () => {
      const still = sent === earlier
      earlier = sent
      await new Promise((resolve) => setTimeout(resolve, 200))
      return still
    })
    expect(sent).toBeLessThan(size / 2)
    let received = 0
    for await (const part of answer) received += (part as Buffer).length
    expect([answer.statusCode, received]).toEqual([status, size])
  })

  it('does not blame the client for an upload that the upstream takes slowly', async () => {
    let read: (() => void) | undefined
    const upstream = await startRaw(async (request, response) => {
      await new Promise<void>((resolve) => {
        read = resolve
      })
      let received = 0
      for await (const chunk of request) received += (chunk as Buffer).length
      response.end(String(received))
    })
    const gateway = await before(upstream, { bodyTimeoutMs: 1500 })
    const size = 32 * 1024 * 1024
    const answer = fetch(`${gateway.url}/slow`, { method: 'POST', body: Buffer.alloc(size) })
    await until(() => read !== undefined)
    // Not read yet, for longer than a client may be slow.
    await new Promise((resolve) => setTimeout(resolve, 2000))
    read?.()
    expect(await (await answer).text()).toBe(String(size))
  })

  it('passes WebSocket handshakes and bytes in both directions', async () => {
    const upstream = await startRaw((_, response) => void response.end())
    upstream.server.on('upgrade', (request, socket) => {
      socket.on('error', () => {})
      socket.on('end', () => socket.end())
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${request.headers['sec-websocket-key']}\r\n\r\nfirst`,
      )
      socket.on('data', (bytes) => socket.write(`echo ${String(bytes)}`))
    })
    const gateway = await before(upstream, { requireKey: true })
    const { hostname, port } = new URL(gateway.url)
    const socket = connect(Number(port), hostname)
    let received = ''
    socket.on('data', (bytes) => {
      received += String(bytes)
    })
    socket.write(
      'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: abc\r\nSec-WebSocket-Version: 13\r\n\r\nearly',
    )
    await until(() => received.includes('echo early'))
    expect(received).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/)
    expect(received).toContain('Sec-WebSocket-Accept: abc')
    expect(received).toContain('first')
    socket.write('more')
    await until(() => received.includes('echo more'))
    const closed = once(socket, 'close')
    socket.end()
    await closed
  })

  it('passes the refusal of a WebSocket handshake on', async () => {
    const upstream = await startRaw((_, response) => void response.end())
    upstream.server.on('upgrade', (_request, socket) => {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
    })
    const gateway = await before(upstream)
    const answer = await sendRaw(
      gateway.url,
      'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    )
    expect(answer).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/)
    expect(answer).toMatch(/\r\n\r\nno$/)
  })

  it('answers 502 when the upstream is down and 504 when it is silent', async () => {
    const silent = await startRaw(() => {})
    const gateway = await before(silent, { upstreamTimeoutMs: 300 })
    const late = await fetch(`${gateway.url}/x`)
    expect(late.status).toBe(504)
    expect(await late.json()).toMatchObject({ code: 'upstream-timeout', effect: 'unknown' })
    await silent.close()
    const gone = await fetch(`${gateway.url}/x`)
    expect(gone.status).toBe(502)
    expect(await gone.json()).toMatchObject({ code: 'upstream-unreachable', effect: 'none', retryable: true })
  })

  it('cuts an answer that the upstream cuts, rather than ending it', async () => {
    const upstream = await startRaw((_, response) => {
      response.writeHead(200, { 'Content-Length': 100 })
      response.write('part')
      setImmediate(() => response.destroy())
    })
    const gateway = await before(upstream)
    const answer = await fetch(`${gateway.url}/x`)
    await expect(answer.text()).rejects.toThrow()
  })
})
