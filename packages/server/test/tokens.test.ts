import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Config } from '../src/config/config-schema.ts'
import { createLog } from '../src/gateway/gateway-log.ts'
import { type Gateway, startGateway } from '../src/gateway/start-gateway.ts'
import { command } from './support/in-process.ts'
import { gatewayBefore, optionsOf, startUpstream, type Upstream, until } from './support/servers.ts'

const ISSUING: Config = {
  scope: 'header:x-tenant',
  tokensPath: '/onceward/tokens',
  routes: [{ path: '/orders', key: 'issued' }],
}

describe('a gateway that issues tokens', () => {
  const steps: (() => unknown)[] = []
  afterEach(async () => {
    for (const step of steps.splice(0).reverse()) await step()
  })
  let gateway: Gateway
  let upstream: Upstream
  const start = async (config: Config = ISSUING, delay: () => Promise<unknown> = async () => {}) => {
    let orders = 0
    upstream = await startUpstream(async (_, response) => {
      const order = ++orders
      await delay()
      response.writeHead(201).end(`order ${order}`)
    })
    steps.push(() => upstream.close())
    gateway = await gatewayBefore(upstream.url, config)
    steps.push(() => gateway.stop())
  }
  const post = async (path: string, headers: Record<string, string> = {}, body = '{}') => {
    const response = await fetch(gateway.url + path, {
      method: 'POST',
      headers: { 'X-Tenant': 'ann', ...headers },
      body,
    })
    const text = await response.text()
    const { code } = text.startsWith('{') ? JSON.parse(text) : { code: undefined }
    return { status: response.status, headers: response.headers, text, code }
  }
  const issued = async (headers: Record<string, string> = {}): Promise<string> => {
    const { status, text, headers: fields } = await post('/onceward/tokens', headers)
    expect({ status, cache: fields.get('cache-control') }).toEqual({ status: 200, cache: 'no-store' })
    const { token, expiresInMs } = JSON.parse(text)
    expect(expiresInMs).toBe(3_600_000)
    return token
  }

  it('takes an issued token as the key of one request, and answers its duplicates from memory', async () => {
    let open: () => void = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    await start(ISSUING, () => gate)
    const key = { 'Idempotency-Key': await issued() }
    const both = [post('/orders', key), post('/orders', key)]
    await until(() => upstream.seen.length > 0)
    open()
    for (const { status, text } of await Promise.all(both))
      expect({ status, text }).toEqual({ status: 201, text: 'order 1' })
    const again = await post('/orders', key)
    expect({ text: again.text, replayed: again.headers.get('idempotent-replayed') }).toEqual({
      text: 'order 1',
      replayed: 'true',
    })
    expect(upstream.seen.map(({ url }) => url)).toEqual(['/orders'])
    expect((await post('/orders', key, '{"gold":true}')).code).toBe('key-reused')
  })

  it('takes nothing else where a route says issued, and any key elsewhere', async () => {
    await start()
    const token = await issued()
    expect((await post('/orders')).code).toBe('key-missing')
    expect((await post('/orders', { 'Idempotency-Key': 'my own' })).code).toBe('token-refused')
    expect((await post('/orders', { 'Idempotency-Key': token, 'X-Tenant': 'bob' })).code).toBe(
      'token-refused',
    )
    expect(upstream.seen).toEqual([])
    expect((await post('/other', { 'Idempotency-Key': 'my own' })).status).toBe(201)
    expect((await post('/other', { 'Idempotency-Key': await issued() })).status).toBe(201)
    expect((await post('/orders', { 'Idempotency-Key': token })).status).toBe(201)
  })

  it('replays what an operator has resolved a held request as, which ls shows without the token', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'onceward-tokens-'))
    steps.push(() => rmSync(folder, { recursive: true }))
    const store = `sqlite:${join(folder, 'tokens.sqlite')}`
    await start({ ...ISSUING, store }, () => Promise.reject(new Error('broken off')))
    const key = { 'Idempotency-Key': await issued() }
    expect((await post('/orders', key)).status).toBe(502)
    expect((await post('/orders', key)).code).toBe('outcome-unknown')
    const listed = await command(['ls', '--store', store, '--json'])
    expect(listed.stdout).not.toContain(key['Idempotency-Key'])
    const held = await command(['ls', '--store', store, '--state', 'held', '--json'])
    const [{ id }] = JSON.parse(held.stdout)
    const resolve = ['resolve', id, '--store', store, '--as', 'done', '--reason', 'it is in the books']
    expect((await command([...resolve, '--value', '1'])).stderr).toContain('--status, and --body-file')
    expect((await command([...resolve, '--status', '201'])).code).toBe(0)
    expect((await post('/orders', key)).status).toBe(201)
  })

  it('issues to nobody who is not known, and no more than allowed', async () => {
    await start({ ...ISSUING, maxNewKeys: 2 })
    const nobody = await fetch(`${gateway.url}/onceward/tokens`, { method: 'POST' })
    expect(nobody.status).toBe(401)
    const answers = [
      await post('/onceward/tokens'),
      await post('/onceward/tokens'),
      await post('/onceward/tokens'),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429])
  })

  it('leaves the path to the upstream for other methods, and altogether where none is configured', async () => {
    await start()
    await fetch(`${gateway.url}/onceward/tokens`)
    await gateway.stop()
    await upstream.close()
    await start({})
    expect((await post('/onceward/tokens')).text).toBe('order 1')
  })

  it.each([
    [{ tokensPath: undefined }, /needs --tokens-path/],
    [
      { routes: [{ path: '/orders', key: 'issued' as const, scope: 'public' }] },
      /needs the scope of the gateway/,
    ],
    [
      { routes: [{ path: '/orders', name: 'o', key: 'issued' as const, failOpen: true }] },
      /exclude each other/,
    ],
  ])('does not start with what does not go together: %o', async (config, message) => {
    const options = async () => optionsOf({ upstream: 'http://127.0.0.1:1', ...ISSUING, ...config })
    await expect(options().then((found) => startGateway(found, createLog('silent')))).rejects.toThrow(message)
  })
})
