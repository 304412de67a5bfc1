import { once } from 'node:events'
import { createServer as createNetServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { faultProxy } from '../../../test-servers/index.mjs'
import type { Config } from '../src/config/config-schema.ts'
import type { Gateway } from '../src/gateway/start-gateway.ts'
import {
  gatewayBefore,
  type Seen,
  sendRaw,
  startRaw,
  startUpstream,
  type Upstream,
  until,
} from './support/servers.ts'

describe('a keyed request', () => {
  const steps: (() => unknown)[] = []
  afterEach(async () => {
    for (const step of steps.splice(0).reverse()) await step()
  })
  let gateway: Gateway
  const before = async (upstream: Upstream | string, config: Config = {}): Promise<void> => {
    if (typeof upstream !== 'string') steps.push(() => upstream.close())
    gateway = await gatewayBefore(typeof upstream === 'string' ? upstream : upstream.url, config)
    steps.push(() => gateway.stop())
  }
  const counting = (
    answer: (
      count: number,
      request: Seen,
    ) => { status: number; headers?: Record<string, string | string[]>; body?: string | Buffer },
  ) => {
    let count = 0
    return startUpstream((request, response) => {
      const { status, headers = {}, body = '' } = answer(++count, request)
      response.writeHead(status, headers).end(body)
    })
  }
  const send = (
    path: string,
    key: string | undefined,
    options: { method?: string; body?: string; headers?: Record<string, string> } = {},
  ) =>
    fetch(gateway.url + path, {
      method: options.method ?? 'POST',
      headers: {
        ...(key === undefined ? {} : { 'Idempotency-Key': key }),
        'Content-Type': 'application/json',
        ...options.headers,
      },
      body: options.body ?? '{"amount":1}',
      redirect: 'manual',
    })

  it('reaches the upstream once, and its duplicate gets the same bytes', async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 200])
    const upstream = await counting(() => ({
      status: 201,
      headers: {
        'Content-Type': 'application/octet-stream',
        Location: '/payments/1',
        'Set-Cookie': ['a=1', 'b=2'],
      },
      body: bytes,
    }))
    await before(upstream)
    const first = await send('/payments?x=1', 'k-1')
    const second = await send('/payments?x=1', 'k-1')
    expect([first.status, second.status]).toEqual([201, 201])
    expect(Buffer.from(await first.arrayBuffer())).toEqual(bytes)
    expect(Buffer.from(await second.arrayBuffer())).toEqual(bytes)
    expect(second.headers.get('location')).toBe('/payments/1')
    expect(first.headers.getSetCookie()).toHaveLength(2)
    expect(second.headers.getSetCookie()).toEqual([])
    expect(second.headers.get('idempotent-replayed')).toBe('true')
    expect(first.headers.get('idempotency-expires')).toMatch(/GMT$/)
    expect(upstream.seen).toHaveLength(1)
    expect(upstream.seen[0]?.url).toBe('/payments?x=1')
    expect(upstream.seen[0]?.body).toBe('{"amount":1}')
    expect(upstream.seen[0]?.headers['idempotency-key']).toBe('k-1')
    expect(Number(upstream.seen[0]?.headers['onceward-fence'])).toBeGreaterThan(0)
    expect(upstream.seen[0]?.headers['onceward-attempt']).toBe('1')
  })

  it('is refused with another body, and runs under another path, method or key', async () => {
    const upstream = await counting((count) => ({ status: 200, body: String(count) }))
    await before(upstream)
    expect(await (await send('/p', 'k')).text()).toBe('1')
    const reused = await send('/p', 'k', { body: '{"amount":2}' })
    expect([reused.status, await reused.json()]).toMatchObject([422, { code: 'key-reused', effect: 'none' }])
    expect(await (await send('/q', 'k')).text()).toBe('2')
    expect(await (await send('/p', 'k', { method: 'PUT' })).text()).toBe('3')
    expect(await (await send('/p', 'other')).text()).toBe('4')
    expect(await (await send('/x/../p', 'k')).text()).toBe('1')
  })

  it('is refused without a key where one is required, before anything is asked', async () => {
    const upstream = await counting(() => ({ status: 200 }))
    await before(upstream, { requireKey: true, routes: [{ path: '/free/*', key: 'ignored' }] })
    const missing = await send('/p', undefined)
    expect([missing.status, await missing.json()]).toMatchObject([400, { code: 'key-missing' }])
    expect(upstream.seen).toHaveLength(0)
    expect((await send('/free/x', undefined)).status).toBe(200)
    await send('/free/x', 'k')
    await send('/free/x', 'k')
    expect(upstream.seen).toHaveLength(3)
  })

  it('has its body held to the cap, whether its length is announced or not, and takes no claim', async () => {
    const upstream = await counting((_, request) => ({ status: 200, body: String(request.body.length) }))
    await before(upstream, { maxBodyBytes: 10 })
    const announced = await send('/p', 'k', { body: 'x'.repeat(11) })
    expect([announced.status, await announced.json()]).toMatchObject([
      413,
      { code: 'body-too-large', effect: 'none' },
    ])
    // Without its last chunk: the answer comes before the body has ended.
    const chunked = await sendRaw(
      gateway.url,
      `POST /p HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n${'x'.repeat(11)}\r\n`,
    )
    expect(chunked).toMatch(/^HTTP\/1\.1 413 /)
    expect(upstream.seen).toHaveLength(0)
    expect(await (await send('/p', 'k', { body: 'x'.repeat(10) })).text()).toBe('10')
  })

  it('with a response beyond the cap gets it whole, and its duplicate is told what it was', async () => {
    const big = 'y'.repeat(300_000)
    let count = 0
    const upstream = await startRaw((_, response) => {
      count++
      response.writeHead(201, { Location: '/big/1', 'Onceward-Effect': 'done' })
      response.write(big)
      response.end(big)
    })
    await before(upstream, { maxResponseBytes: 100_000 })
    const first = await send('/big', 'k')
    expect([first.status, (await first.text()).length]).toEqual([201, 600_000])
    expect(first.headers.has('onceward-effect')).toBe(false)
    const second = await send('/big', 'k')
    expect([second.status, await second.json()]).toMatchObject([
      409,
      { code: 'response-not-replayable', status: 201, location: '/big/1', effect: 'done' },
    ])
    expect(count).toBe(1)
  })

  it('goes on when its client leaves, and is stored', async () => {
    let finish: () => void = () => {}
    const upstream = await startUpstream(async (_, response) => {
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      response.end('paid')
    })
    await before(upstream)
    const client = new AbortController()
    const left = fetch(`${gateway.url}/p`, {
      method: 'POST',
      headers: { 'Idempotency-Key': 'k' },
      body: 'b',
      signal: client.signal,
    })
    await until(() => upstream.seen.length === 1)
    client.abort()
    await expect(left).rejects.toThrow()
    const duplicate = fetch(`${gateway.url}/p`, {
      method: 'POST',
      headers: { 'Idempotency-Key': 'k' },
      body: 'b',
    })
    finish()
    expect(await (await duplicate).text()).toBe('paid')
    expect(upstream.seen).toHaveLength(1)
  })

  it('is answered 409 with Retry-After when it does not want to wait', async () => {
    let finish: () => void = () => {}
    const upstream = await startUpstream(async (_, response) => {
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      response.end()
    })
    await before(upstream)
    const first = send('/p', 'k')
    await until(() => upstream.seen.length === 1)
    const second = await send('/p', 'k', { headers: { Prefer: 'wait=0' } })
    expect([second.status, await second.json()]).toMatchObject([
      409,
      { code: 'in-progress', retryable: true },
    ])
    expect(Number(second.headers.get('retry-after'))).toBeGreaterThan(0)
    finish()
    await first
  })

  describe('when the upstream fails', () => {
    it('is released when nobody listens there, and runs once somebody does', async () => {
      const upstream = await startUpstream((_, response) => void response.end('up'))
      steps.push(() => upstream.close())
      const { hostname: host, port } = new URL(upstream.url)
      // Listens on a port that the system gives to nobody else meanwhile.
      const proxy = await faultProxy({ target: { host, port: Number(port) } })
      steps.push(() => proxy.stop())
      await proxy.down()
      await before(proxy.url(upstream.url))
      const first = await send('/p', 'k')
      expect([first.status, await first.json()]).toMatchObject([
        502,
        { code: 'upstream-unreachable', effect: 'none', retryable: true },
      ])
      await proxy.pass()
      expect(await (await send('/p', 'k')).text()).toBe('up')
    })

    it('is held when it does not answer in time', async () => {
      let count = 0
      await before(await startRaw(() => void count++), { upstreamTimeoutMs: 300 })
      const first = await send('/p', 'k')
      expect([first.status, await first.json()]).toMatchObject([
        504,
        { code: 'upstream-timeout', effect: 'unknown', retryable: false },
      ])
      const second = await send('/p', 'k')
      expect([second.status, await second.json()]).toMatchObject([
        409,
        { code: 'outcome-unknown', effect: 'unknown' },
      ])
      expect(second.headers.has('retry-after')).toBe(false)
      expect(count).toBe(1)
    })

    it.each<[string, string]>([
      ['breaks before its answer', ''],
      ['breaks inside its header', 'HTTP/1.1 200 OK\r\nContent-Le'],
      ['sends fewer bytes than it announced', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'],
      ['breaks between two chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
      ['speaks something else', 'SSH-2.0-OpenSSH\r\n'],
    ])('is held when it %s', async (_, bytes) => {
      let count = 0
      const server = createNetServer((socket) => {
        socket.on('error', () => {})
        socket.once('data', () => {
          count++
          socket.end(bytes)
        })
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      steps.push(() => server.close())
      await before(`http://127.0.0.1:${(server.address() as { port: number }).port}`)
      const first = await send('/p', 'k')
      expect([first.status, await first.json()]).toMatchObject([
        502,
        { code: 'upstream-broken', effect: 'unknown' },
      ])
      expect((await send('/p', 'k')).status).toBe(409)
      expect(count).toBe(1)
    })

    it.each<[string, Config, Record<string, string>, number]>([
      ['holds a 500', {}, {}, 409],
      ['stores a 500 where the route says so', { onServerError: 'store' }, {}, 500],
      ['runs again after a 500 where the route says so', { onServerError: 'release' }, {}, 201],
      ['runs again after a 500 that says it had no effect', {}, { 'Onceward-Effect': 'none' }, 201],
      ['stores a 500 that says it is done', {}, { 'Onceward-Effect': 'done' }, 500],
    ])('%s', async (_, config, headers, then) => {
      const upstream = await counting((count) =>
        count === 1 ? { status: 500, headers, body: 'oops' } : { status: 201 },
      )
      await before(upstream, config)
      const first = await send('/p', 'k')
      expect([first.status, await first.text()]).toEqual([500, 'oops'])
      expect(first.headers.has('onceward-effect')).toBe(false)
      expect((await send('/p', 'k')).status).toBe(then)
      expect(upstream.seen).toHaveLength(then === 201 ? 2 : 1)
    })

    it('believes no client about the effect', async () => {
      const upstream = await counting(() => ({ status: 500 }))
      await before(upstream)
      await send('/p', 'k', { headers: { 'Onceward-Effect': 'none' } })
      expect((await send('/p', 'k')).status).toBe(409)
    })

    it('is not sent twice over a connection that the upstream has just closed', async () => {
      let requests = 0
      let closed = 0
      const server = createNetServer((socket) => {
        socket.on('error', () => {})
        socket.on('data', () => {
          requests++
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
          // Closed while idle, as services do.
          setTimeout(() => socket.end(), 20)
          // Closed from both sides: the gateway has seen it.
          socket.once('close', () => closed++)
        })
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      steps.push(() => server.close())
      await before(`http://127.0.0.1:${(server.address() as { port: number }).port}`)
      const answers: string[] = []
      for (let n = 0; n < 5; n++) {
        const answer = await send('/p', `k-${n}`)
        answers.push(await answer.text())
        await until(() => closed === requests)
      }
      expect(answers).toEqual(['ok', 'ok', 'ok', 'ok', 'ok'])
      expect(requests).toBe(5)
    })
  })

  it('has its key derived from fields of the request where the route says so', async () => {
    const upstream = await counting((count) => ({ status: 200, body: String(count) }))
    await before(upstream, {
      routes: [{ path: '/orders', key: { json: ['order.id', 'amount'], headers: ['X-Shop'] } }],
    })
    const order = (id: unknown, headers: Record<string, string> = { 'X-Shop': 's' }) =>
      send('/orders', undefined, { body: JSON.stringify({ order: { id }, amount: 5 }), headers })
    expect(await (await order(1)).text()).toBe('1')
    expect(await (await order(1)).text()).toBe('1')
    expect(await (await order(2)).text()).toBe('2')
    expect(await (await order(1, { 'X-Shop': 't' })).text()).toBe('3')
    expect(upstream.seen[0]?.headers['idempotency-key']).toMatch(/^k1_[\w-]{43}$/)
    for (const missing of [order(undefined), order(null), order(''), order(1, {})]) {
      const answer = await missing
      expect([answer.status, await answer.json()]).toMatchObject([400, { code: 'key-missing' }])
    }
    for (const odd of [
      order({}),
      send('/orders', undefined, { body: 'no json', headers: { 'X-Shop': 's' } }),
    ]) {
      const answer = await odd
      expect([answer.status, await answer.json()]).toMatchObject([400, { code: 'request-invalid' }])
    }
    expect(upstream.seen).toHaveLength(3)
  })

  it('counts new keys of a scope against its quota, and still answers known ones', async () => {
    const upstream = await counting(() => ({ status: 200 }))
    await before(upstream, { maxNewKeys: 2, scope: 'header:X-Tenant' })
    const as = (tenant: string, key: string) => send('/p', key, { headers: { 'X-Tenant': tenant } })
    expect((await as('a', '1')).status).toBe(200)
    expect((await as('a', '2')).status).toBe(200)
    const over = await as('a', '3')
    expect([over.status, await over.json()]).toMatchObject([429, { code: 'quota-exceeded', effect: 'none' }])
    expect((await as('a', '1')).status).toBe(200)
    expect((await as('b', '1')).status).toBe(200)
    expect(upstream.seen).toHaveLength(3)
  })

  it('replays further response fields where they are named', async () => {
    const upstream = await counting(() => ({ status: 200, headers: { 'X-Receipt': 'r-1', 'X-Other': 'o' } }))
    await before(upstream, { replayHeaders: ['x-receipt'] })
    await send('/p', 'k')
    const replay = await send('/p', 'k')
    expect([replay.headers.get('x-receipt'), replay.headers.get('x-other')]).toEqual(['r-1', null])
  })

  it('keeps keys apart at the upstream that only quotes tell apart', async () => {
    const upstream = await counting((count) => ({ status: 200, body: String(count) }))
    await before(upstream)
    const keys = ['k', '" k"', '"k "', '"\\"k\\""', '"a, b"']
    for (const key of keys) await send('/p', key)
    expect(upstream.seen.map(({ headers }) => headers['idempotency-key'])).toEqual(keys)
  })
})
