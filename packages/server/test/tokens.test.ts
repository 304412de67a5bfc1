import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Config } from '../src/config/config-schema.ts'
import { createLog } from '../src/gateway/gateway-log.ts'
import { type Gateway, startGateway } from '../src/gateway/start-gateway.ts'
import { command } from './support/in-process.ts'
import { gatewayBefore, optionsOf, sendRaw, startUpstream, type Upstream, until } from './support/servers.ts'

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
  const post = async (path: string, headers: Record<string, string> = {}, body: string | FormData = '{}') => {
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

  const everywhere = { header: 'X-Form-Token', field: 'token', cookie: '__Host-once-token' }
  const CARRIED: Config = { ...ISSUING, routes: [{ path: '/orders', key: 'issued', tokenFrom: everywhere }] }
  const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' }
  const JSON_TYPE = { 'Content-Type': 'application/json' }
  const partsWith = (token: string): FormData => {
    const data = new FormData()
    data.append('item', 'tea')
    data.append('token', token)
    data.append('photo', new File([Buffer.from([0, 13, 10, 45, 45, 255])], 'tea.jpg'))
    return data
  }

  it('finds the token in a header, a cookie, a form, a form with parts and a JSON body, and tells it upstream', async () => {
    await start(CARRIED)
    const ways = [
      (token: string) => [{ 'X-Form-Token': token }, ''],
      (token: string) => [{ Cookie: `a=b; __Host-once-token=${token}` }, ''],
      (token: string) => [FORM, `item=tea&token=${token}`],
      (token: string) => [JSON_TYPE, JSON.stringify({ token })],
      (token: string) => [{}, partsWith(token)],
    ] as const
    for (const [index, way] of ways.entries()) {
      const token = await issued()
      const [headers, body] = way(token) as [Record<string, string>, string | FormData]
      const both = await Promise.all([post('/orders', headers, body), post('/orders', headers, body)])
      for (const { status, text } of both)
        expect({ status, text }).toEqual({ status: 201, text: `order ${index + 1}` })
      const seen = upstream.seen[index]
      expect(seen?.headers['idempotency-key']).toBe(token)
      if (typeof body === 'string') expect(seen?.body).toBe(body)
    }
    expect(upstream.seen).toHaveLength(ways.length)
  })

  it('hands a form with parts on as it came, and takes a second post of it for the same', async () => {
    const token = 'A'.repeat(43)
    await start(CARRIED)
    const field = `Content-Disposition: form-data; name="token"\r\n\r\n${await issued()}`
    const sent = (boundary: string) => `--${boundary}\r\n${field}\r\n--${boundary}-- \r\n\r\n`
    const as = (boundary: string, body: string) =>
      post('/orders', { 'Content-Type': `multipart/form-data; boundary=${boundary}` }, body)
    expect((await as('one', sent('one'))).text).toBe('order 1')
    expect((await as('two', sent('two'))).text).toBe('order 1')
    expect(upstream.seen.map(({ body }) => body)).toEqual([sent('one')])
    expect((await as('one', sent('one').replace(field, field.slice(0, -43) + token))).code).toBe(
      'token-refused',
    )
    expect((await as('one', sent('one').replace('token"', 'token"; filename="a"'))).code).toBe('key-invalid')
    expect((await as('one', sent('two'))).code).toBe('request-invalid')
    expect(upstream.seen).toHaveLength(1)
  })

  it('refuses different tokens in several places, one of another caller, and none at all', async () => {
    await start(CARRIED)
    const [one, other] = [await issued(), await issued()]
    const cookie = { Cookie: `__Host-once-token=${other}` }
    expect((await post('/orders', cookie, partsWith(one))).code).toBe('key-invalid')
    expect((await post('/orders', { ...FORM, 'X-Form-Token': one }, `token=${other}`)).code).toBe(
      'key-invalid',
    )
    expect((await post('/orders', FORM, `token=${one}&token=${other}`)).code).toBe('key-invalid')
    expect((await post('/orders', { ...FORM, 'X-Tenant': 'bob' }, `token=${one}`)).code).toBe('token-refused')
    expect((await post('/orders', { 'Idempotency-Key': one })).code).toBe('key-missing')
    const named = `Host: a\r\nX-Tenant: ann\r\nX-Form-Token: ${one}\r\nConnection: X-Form-Token, close\r\n\r\n`
    expect(await sendRaw(gateway.url, `POST /orders HTTP/1.1\r\nContent-Length: 0\r\n${named}`)).toMatch(
      / 400 /,
    )
    expect(upstream.seen).toEqual([])
    expect((await post('/orders', { ...FORM, 'X-Form-Token': one }, `token=${one}`)).status).toBe(201)
  })

  it('holds bodies to their cap while it looks for a token in them, and reads none where it cannot be there', async () => {
    await start({
      ...CARRIED,
      maxBodyBytes: 1000,
      routes: [
        ...(CARRIED.routes ?? []),
        { path: '/cookies', key: 'issued', tokenFrom: { cookie: everywhere.cookie } },
      ],
    })
    const large = `${'x'.repeat(1000)}&token=${await issued()}`
    expect((await post('/orders', FORM, large)).status).toBe(413)
    const endless = 'Host: a\r\nX-Tenant: ann\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n'
    const refused = await sendRaw(gateway.url, `POST /cookies HTTP/1.1\r\n${endless}`)
    expect(refused).toMatch(/^HTTP\/1\.1 400 .*key-missing/s)
    expect(upstream.seen).toEqual([])
  })

  it('issues tokens as a cookie, which its answer does not tell', async () => {
    await start({ ...CARRIED, tokenCookie: '__Host-once-token' })
    const { status, text, headers } = await post('/onceward/tokens')
    expect({ status, ...JSON.parse(text) }).toEqual({ status: 200, expiresInMs: 3_600_000 })
    const [cookie = '', ...attributes] = (headers.get('set-cookie') ?? '').split('; ')
    expect(attributes).toEqual(['Path=/', 'HttpOnly', 'Secure', 'SameSite=Lax', 'Max-Age=3600'])
    const answers = [await post('/orders', { Cookie: cookie }), await post('/orders', { Cookie: cookie })]
    expect(answers.map((answer) => answer.text)).toEqual(['order 1', 'order 1'])
    expect((await post('/orders', { Cookie: cookie, 'X-Tenant': 'bob' })).code).toBe('token-refused')
  })

  it.each([
    [{ tokensPath: undefined }, /needs --tokens-path/],
    [{ tokensPath: undefined, tokenCookie: 'c', routes: [] }, /--token-cookie needs --tokens-path/],
    [{ tokenCookie: 'c' }, /"tokenFrom": \{ "cookie": "c" \}/],
    [{ routes: [{ path: '/orders', key: 'issued' as const, tokenFrom: {} }] }, /names no place/],
    [
      { routes: [{ path: '/orders', key: 'required' as const, tokenFrom: { field: 'token' } }] },
      /needs key "issued"/,
    ],
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
