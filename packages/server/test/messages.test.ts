import { mkdtemp, rm } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Config } from '../src/config/config-schema.ts'
import { createLog } from '../src/gateway/gateway-log.ts'
import { type Gateway, startGateway } from '../src/gateway/start-gateway.ts'
import { optionsOf, startRaw, startUpstream, type Upstream, until } from './support/servers.ts'

describe('what the gateway says', () => {
  const steps: (() => unknown)[] = []
  afterEach(async () => {
    for (const step of steps.splice(0).reverse()) await step()
  })
  const lines: Record<string, unknown>[] = []
  let gateway: Gateway
  const start = async (upstream: Upstream | string, config: Config = {}): Promise<void> => {
    const url = typeof upstream === 'string' ? upstream : upstream.url
    if (typeof upstream !== 'string') steps.push(() => upstream.close())
    lines.length = 0
    const log = createLog('info', { write: (line) => void lines.push(JSON.parse(line)) })
    gateway = await startGateway(optionsOf({ upstream: url, ...config, logLevel: 'info' }), log)
    steps.push(() => gateway.stop())
  }
  const post = async (path: string, headers: Record<string, string> = {}, body = '{}', url = gateway.url) => {
    const answer = await fetch(url + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': 'k', ...headers },
      body,
    })
    const told = (await answer.json().catch(() => ({}))) as Record<string, unknown>
    return { status: answer.status, echo: answer.headers.get('idempotency-key'), ...told }
  }
  const line = (message: RegExp) => lines.find(({ msg }) => message.test(String(msg)))
  const silent = () => startRaw(() => {})

  it('repeats the key in the answer when the upstream cannot be reached or does not answer', async () => {
    await start('http://127.0.0.1:9')
    expect(await post('/p')).toMatchObject({ status: 502, code: 'upstream-unreachable', echo: 'k' })
    await start(await silent(), { upstreamTimeoutMs: 100 })
    expect(await post('/p', { 'Idempotency-Key': '"k"' })).toMatchObject({ status: 504, echo: '"k"' })
  })

  it('logs a timeout with its operation, and without a stack', async () => {
    await start(await silent(), { upstreamTimeoutMs: 100 })
    await post('/p')
    expect(line(/no whole answer/)).toMatchObject({
      operation: expect.stringMatching(/^[\w-]{43}$/),
      code: 'upstream-timeout',
      cause: 'UND_ERR_HEADERS_TIMEOUT',
    })
    expect(JSON.stringify(line(/no whole answer/))).not.toContain('stack')
  })

  it('names the field that a derived key lacks', async () => {
    const upstream = await startUpstream((_, response) => void response.end('ok'))
    await start(upstream, { routes: [{ path: '/o', key: { json: ['order.id'], headers: ['X-Shop'] } }] })
    expect(await post('/o')).toMatchObject({
      status: 400,
      code: 'key-missing',
      detail: 'The key of this request is derived, and needs the header field x-shop.',
    })
    expect(await post('/o', { 'X-Shop': 's' }, '{"order":{}}')).toMatchObject({
      code: 'key-missing',
      detail: 'The key of this request is derived, and needs the JSON field order.id.',
    })
    expect(upstream.seen).toEqual([])
  })

  it('logs why a request has no caller', async () => {
    const upstream = await startUpstream((_, response) => void response.end('ok'))
    await start(upstream, { scope: 'header:X-Tenant', host: '0.0.0.0' })
    expect(await post('/p')).toMatchObject({ status: 401, code: 'scope-missing' })
    expect(line(/no caller/)?.['why']).toBe('the field x-tenant is absent')
    const outside = Object.values(networkInterfaces())
      .flat()
      .find((address) => address?.family === 'IPv4' && !address.internal)?.address
    if (outside === undefined) return
    lines.length = 0
    const { port } = new URL(gateway.url)
    await post('/p', { 'X-Tenant': 'a' }, '{}', `http://${outside}:${port}`)
    expect(line(/no caller/)?.['why']).toBe(
      `the field x-tenant was dropped, because the peer ${outside} is not trusted; if it is your proxy, name it in trustProxy`,
    )
  })

  it('tells callers apart on a route by the scope of that route, else by that of the top level', async () => {
    let count = 0
    const upstream = await startUpstream((_, response) => void response.end(String(++count)))
    await start(upstream, {
      scope: 'header:X-Tenant',
      routes: [{ path: '/hook', scope: 'public' }, { path: '/other' }],
    })
    for (const path of ['/hook', '/hook', '/other', '/p']) {
      const { status } = await post(path)
      expect([path, status]).toEqual([path, path === '/hook' ? 200 : 401])
    }
    expect(count).toBe(1)
  })

  it('answers 508 to a request that comes back to it, and passes on what another gateway has sent', async () => {
    let loops = 0
    let answer = { status: 0 }
    const looping = await startUpstream(async (request, response) => {
      loops++
      const back = await fetch(gateway.url + request.url, {
        method: request.method,
        headers: { 'Idempotency-Key': 'k', via: String(request.headers.via) },
        ...(request.method === 'GET' ? {} : { body: 'b' }),
      })
      answer = { status: back.status, ...((await back.json()) as object) }
      response.end('first')
    })
    await start(looping)
    expect(await post('/p')).toMatchObject({ status: 200 })
    expect(answer).toMatchObject({ status: 508, code: 'loop-detected', effect: 'none' })
    expect((await fetch(`${gateway.url}/p`)).status).toBe(200)
    expect(answer).toMatchObject({ status: 508 })
    expect(loops).toBe(2)
    const inner = gateway.url
    const other = await startUpstream((_, response) => void response.end('{}'))
    await start(other)
    expect(await post('/p', { via: `1.1 onceward-${'0'.repeat(12)}` })).toMatchObject({ status: 200 })
    expect(inner).not.toBe(gateway.url)
  })

  it('says at its stop how many operations were cut and which, and does not blame the upstream', async () => {
    let reached = 0
    const upstream = await startRaw(() => void reached++)
    await start(upstream, { shutdownMs: 50 })
    const cut = post('/p').catch(() => 'cut')
    await until(() => reached === 1)
    expect(await gateway.stop()).toBe(false)
    expect(await cut).toBe('cut')
    const messages = lines.map(({ msg }) => String(msg))
    const told = messages.findIndex((msg) =>
      /not everything finished in time: .*onceward ls --state held/.test(msg),
    )
    expect(told).toBeGreaterThanOrEqual(0)
    expect(lines[told]).toMatchObject({ count: 1, operations: [expect.stringMatching(/^[\w-]{43}$/)] })
    expect(messages.slice(told + 1)).toEqual(['the gateway has stopped'])
    expect(line(/no whole answer/)).toBeUndefined()
  })

  it('says that a store in memory forgets, and that it has made a folder', async () => {
    await start('http://127.0.0.1:9', { store: 'sqlite::memory:' })
    expect(line(/all is forgotten/)).toMatchObject({ store: 'sqlite::memory:' })
    const folder = await mkdtemp(join(tmpdir(), 'onceward-folder-'))
    steps.push(() => rm(folder, { recursive: true, force: true }))
    await start('http://127.0.0.1:9', { store: `sqlite:${join(folder, 'new', 'a.sqlite')}` })
    expect(line(/was not there: made/)).toMatchObject({ folder: join(folder, 'new') })
    expect(line(/all is forgotten/)).toBeUndefined()
  })

  it.each([
    ['http://127.0.0.1:8080', {}],
    ['http://localhost:8080', { host: '0.0.0.0' }],
    ['http://[::1]:9000', { host: '::', port: 9000 }],
    ['http://shop.example', { host: 'shop.example', port: 80 }],
    ['http://127.0.0.1:8081', {}],
  ])('refuses %s as upstream where it listens there itself', (upstream, config) => {
    const ports = { port: 8080, adminPort: 8081 }
    expect(() => optionsOf({ ...ports, upstream, ...config })).toThrow(/is where this gateway itself listens/)
    expect(() => optionsOf({ ...ports, upstream: 'http://127.0.0.1:3000' })).not.toThrow()
    expect(() => optionsOf({ ...ports, upstream: 'http://10.0.0.7:8080' })).not.toThrow()
  })
})
