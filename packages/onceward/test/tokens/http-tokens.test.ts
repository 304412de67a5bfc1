import { setTimeout as later } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { createOnce, noEffect } from '../../src/core/index.ts'
import { idempotency, issueToken } from '../../src/http/express.ts'
import { idempotency as onFetch } from '../../src/http/fetch.ts'
import type { IdempotencyOptions } from '../../src/http/guard-options.ts'
import type { TokenSource } from '../../src/http/presented-token.ts'
import type { TokenCookie } from '../../src/http/token-issuer.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { createTokens } from '../../src/tokens/index.ts'
import { type OpenShop, SHOPS } from './token-servers.ts'

interface Given {
  readonly tokenFrom?: TokenSource
  readonly cookie?: boolean | TokenCookie
  readonly quota?: { readonly newKeys: number; readonly perMs: number }
  readonly order?: () => Promise<object>
}

/** What any of the answers may say. */
interface Answer {
  readonly token: string
  readonly code?: string
}

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** A shop that counts its orders. */
async function shopOn(open: OpenShop, given: Given = {}) {
  const store = memoryStore()
  const once = createOnce({ store, scope: 'shop' })
  const tokens = createTokens({ once })
  let orders = 0
  const target = await open({
    guard: (scope) => ({ once, scope, tokens, ...(given.tokenFrom ? { tokenFrom: given.tokenFrom } : {}) }),
    issue: (scope) => ({
      tokens,
      scope,
      ...(given.cookie ? { cookie: given.cookie } : {}),
      ...(given.quota ? { quota: given.quota } : {}),
    }),
    async order() {
      if (given.order) return given.order()
      await later(30)
      return { order: ++orders }
    },
  })
  closing.push(() => target.close())
  const post = async (path: string, headers: Record<string, string> = {}, body: string | Buffer = '') => {
    const response = await fetch(`http://127.0.0.1:${target.port}${path}`, {
      method: 'POST',
      headers: { 'x-user': 'ann', ...headers },
      ...(body === '' ? {} : { body: body as string }),
    })
    return { status: response.status, headers: response.headers, body: (await response.json()) as Answer }
  }
  const issued = async (user = 'ann'): Promise<string> => {
    const { status, headers, body } = await post('/token', { 'x-user': user })
    expect({ status, cache: headers.get('cache-control') }).toEqual({ status: 200, cache: 'no-store' })
    expect(body).toEqual({ token: expect.stringMatching(/^[\w-]{43}$/), expiresInMs: 3_600_000 })
    return body.token
  }
  return { post, issued, tokens, store, orders: () => orders }
}

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const EXPRESS = SHOPS['Express'] as OpenShop

/** Header and body of a form with a token and a file. */
function parts(boundary: string, token: string, file: Buffer): [Record<string, string>, Buffer] {
  const field = `--${boundary}\r\nContent-Disposition: form-data; name="token"\r\n\r\n${token}\r\n`
  const photo = `--${boundary}\r\nContent-Disposition: form-data; name="photo"; filename="token"\r\n\r\n`
  const body = Buffer.concat([Buffer.from(field + photo), file, Buffer.from(`\r\n--${boundary}--\r\n`)])
  return [{ 'content-type': `multipart/form-data; boundary=${boundary}` }, body]
}

describe.each(Object.entries(SHOPS))('tokens on %s', (_, open) => {
  it('two parallel posts of one form with one token are one order, with the same answer', async () => {
    const { post, issued, orders } = await shopOn(open, { tokenFrom: { field: 'token' } })
    const form = `token=${await issued()}&item=tea`
    const answers = await Promise.all([post('/orders', FORM, form), post('/orders', FORM, form)])
    expect(answers.map(({ status, body }) => ({ status, body }))).toEqual([
      { status: 201, body: { order: 1 } },
      { status: 201, body: { order: 1 } },
    ])
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true')).toHaveLength(1)
    expect(orders()).toBe(1)
  })

  it('two posts of one form with parts are one order too, though each has a boundary of its own', async () => {
    const { post, issued, orders } = await shopOn(open, { tokenFrom: { field: 'token' } })
    const token = await issued()
    const photo = Buffer.from([0, 13, 10, 45, 45, 255])
    const sent = (boundary: string, bytes = photo) => post('/orders', ...parts(boundary, token, bytes))
    const answers = await Promise.all([sent('--b1'), sent('--b2')])
    answers.push(await sent('another'))
    for (const { status, body } of answers)
      expect({ status, body }).toEqual({ status: 201, body: { order: 1 } })
    const { status, body } = await sent('--b1', Buffer.from('other'))
    expect({ status, code: body.code, orders: orders() }).toEqual({
      status: 422,
      code: 'key-reused',
      orders: 1,
    })
    expect((await post('/orders', { 'content-type': 'multipart/form-data' }, 'x')).body.code).toBe(
      'request-invalid',
    )
  })

  it('a token in the field Idempotency-Key is needed, is for its own caller, and only if it was issued', async () => {
    const { post, issued, orders, store } = await shopOn(open)
    const token = await issued()
    const records = (await store.stats()).done
    const refusals = [
      [{}, 'key-missing'],
      [{ 'idempotency-key': 'my own' }, 'token-refused'],
      [{ 'idempotency-key': 'A'.repeat(43) }, 'token-refused'],
      [{ 'idempotency-key': token, 'x-user': 'bob' }, 'token-refused'],
    ] as const
    for (const [headers, code] of refusals) {
      const { status, body } = await post('/orders', headers)
      expect({ status, ...body }).toMatchObject({ status: 400, code, retryable: false, effect: 'none' })
      expect(JSON.stringify(body)).not.toContain(token)
    }
    expect((await store.stats()).done).toBe(records)
    const { status } = await post('/orders', { 'idempotency-key': `"${token}"` })
    expect({ status, orders: orders() }).toEqual({ status: 201, orders: 1 })
    expect((await post('/token', { 'x-user': '' })).body.code).toBe('scope-missing')
  })
})

/** A handler of its own that takes tokens. */
function wrapped(tokenFrom: TokenSource, handler: (request: Request) => Response | Promise<Response>) {
  const once = createOnce({ store: memoryStore(), scope: 'shop' })
  const tokens = createTokens({ once })
  return { tokens, guarded: onFetch({ once, scope: 'public', tokens, tokenFrom })(handler) }
}

describe('where a token is carried', () => {
  const everywhere = { header: 'x-form-token', field: 'token', cookie: '__Host-once-token' }

  it('the same token is found in a header, a form, a JSON body and a cookie', async () => {
    const { post, issued, orders } = await shopOn(EXPRESS, { tokenFrom: everywhere })
    const json = { 'content-type': 'application/json' }
    const ways = [
      async () => post('/orders', { 'x-form-token': await issued() }),
      async () => post('/orders', { 'x-form-token': `"${await issued()}"` }),
      async () => post('/orders', FORM, `item=tea&token=${await issued()}`),
      async () => post('/orders', ...parts('b', await issued(), Buffer.from('a photo'))),
      async () => post('/orders', json, JSON.stringify({ token: await issued() })),
      async () => post('/orders', { cookie: `a=b; __Host-once-token="${await issued()}"; c=d` }),
    ]
    for (const way of ways) expect((await way()).status).toBe(201)
    expect(orders()).toBe(6)
  })

  it('two different tokens in one request are refused, the same one twice is not; a token that is no text is none', async () => {
    const { post, issued } = await shopOn(EXPRESS, { tokenFrom: everywhere })
    const [one, other] = [await issued(), await issued()]
    const json = { 'content-type': 'application/json' }
    const codeOf = async (headers: Record<string, string>, body: string) =>
      (await post('/orders', headers, body)).body.code
    expect(await codeOf({ ...FORM, 'x-form-token': other }, `token=${one}`)).toBe('key-invalid')
    expect(await codeOf(FORM, `token=${one}&token=${other}`)).toBe('key-invalid')
    expect(await codeOf(json, '{"token":{"$gt":""}}')).toBe('key-invalid')
    expect(await codeOf(json, '{"token":')).toBe('request-invalid')
    expect(await codeOf(FORM, 'token=&item=tea')).toBe('key-missing')
    const [form, body] = parts('b', one, Buffer.alloc(0))
    expect((await post('/orders', { ...form, cookie: `__Host-once-token=${other}` }, body)).body.code).toBe(
      'key-invalid',
    )
    const both = { ...FORM, 'x-form-token': one, cookie: `__Host-once-token=${one}` }
    expect((await post('/orders', both, `token=${one}`)).status).toBe(201)
  })

  it('the form is there, byte for byte, for what parses it behind the guard', async () => {
    const { guarded, tokens } = wrapped({ field: 'token' }, async (request) => {
      const data = await request.formData()
      const photo = Buffer.from(await (data.get('photo') as File).arrayBuffer())
      return Response.json({ token: data.get('token'), photo: photo.toString('base64') })
    })
    const token = await tokens.issue({ scope: 'public' })
    const photo = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 7) % 256))
    const data = new FormData()
    data.append('token', token)
    data.append('photo', new File([photo], 'photo.jpg'))
    const send = () => guarded(new Request('http://localhost/', { method: 'POST', body: data }))
    const [first, again] = [await send(), await send()]
    expect(await first.json()).toEqual({ token, photo: photo.toString('base64') })
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([200, 'true'])
  })

  it('no body is read for a token that can only be in the head', async () => {
    const { guarded } = wrapped({ header: 'x-form-token', cookie: 'c' }, () => new Response())
    const post = { method: 'POST', body: new ReadableStream(), duplex: 'half' } as RequestInit
    const [none, two] = [{}, { 'x-form-token': 'one', cookie: 'c=other' }]
    for (const [headers, code] of [
      [none, 'key-missing'],
      [two, 'key-invalid'],
    ] as const) {
      const request = new Request('http://localhost/', { ...post, headers })
      const answer = await guarded(request)
      expect(await answer.json()).toMatchObject({ status: 400, code })
      expect(request.bodyUsed).toBe(false)
    }
  })

  it('a cookie is set for the host alone, out of reach of scripts, and not told in the answer', async () => {
    const { post } = await shopOn(EXPRESS, { cookie: true, tokenFrom: everywhere })
    const { headers, body } = await post('/token')
    expect(body).toEqual({ expiresInMs: 3_600_000 })
    const [pair = '', ...attributes] = (headers.get('set-cookie') ?? '').split('; ')
    expect(pair).toMatch(/^__Host-once-token=[\w-]{43}$/)
    expect(attributes).toEqual(['Path=/', 'HttpOnly', 'Secure', 'SameSite=Lax', 'Max-Age=3600'])
    expect((await post('/orders', { cookie: pair })).status).toBe(201)
    const plain = await shopOn(EXPRESS, { cookie: { secure: false, sameSite: 'Strict' } })
    const set = (await plain.post('/token')).headers.get('set-cookie')
    expect(set).toMatch(/^once-token=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=3600$/)
  })
})

describe('a guard that takes tokens', () => {
  it('takes a token for one request: on another path or with another body it is a reuse', async () => {
    const { post, issued, orders } = await shopOn(EXPRESS, { tokenFrom: { header: 'x-form-token' } })
    const sent = { ...FORM, 'x-form-token': await issued() }
    await post('/orders', sent, 'item=tea')
    expect((await post('/orders', sent, 'item=gold')).body.code).toBe('key-reused')
    expect((await post('/orders?gift=1', sent, 'item=tea')).body.code).toBe('key-reused')
    expect(orders()).toBe(1)
  })

  it('lets the same token be sent again with a mended form after a failure without effect', async () => {
    let tries = 0
    const order = async () => {
      if (++tries === 1) throw noEffect(new Error('sold out'))
      return { order: tries }
    }
    const { post, issued } = await shopOn(SHOPS['Fastify'] as OpenShop, {
      tokenFrom: { field: 'token' },
      order,
    })
    const token = await issued()
    expect((await post('/orders', FORM, `token=${token}&item=gold`)).status).toBe(500)
    expect((await post('/orders', FORM, `token=${token}&item=tea`)).body).toEqual({ order: 2 })
  })

  it('and code that consumes tokens itself share one fate', async () => {
    const { post, issued, tokens } = await shopOn(EXPRESS)
    const [consumed, sent] = [await issued(), await issued()]
    await tokens.consume(consumed, { scope: 'ann' })
    const { body } = await post('/orders', { 'idempotency-key': consumed })
    expect(body).toMatchObject({ code: 'token-refused', detail: expect.stringContaining('used up') })
    await post('/orders', { 'idempotency-key': sent })
    expect(await tokens.consume(sent, { scope: 'ann' })).toEqual({ outcome: 'used' })
  })

  it('takes callers whose name is too long to be stored', async () => {
    const { post, issued } = await shopOn(EXPRESS)
    const long = 'n'.repeat(3000)
    const token = await issued(long)
    expect((await post('/orders', { 'x-user': long, 'idempotency-key': token })).status).toBe(201)
    expect((await post('/orders', { 'x-user': `${long}n`, 'idempotency-key': token })).body.code).toBe(
      'token-refused',
    )
  })

  it('can limit how many tokens one caller is issued', async () => {
    const { post } = await shopOn(EXPRESS, { quota: { newKeys: 2, perMs: 60_000 } })
    const answers = [await post('/token'), await post('/token'), await post('/token')]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429])
    expect((await post('/token', { 'x-user': 'bob' })).status).toBe(200)
  })

  it.each([
    [{ tokens: {} }, /createTokens/],
    [{ tokenFrom: { field: 'token' } }, /needs `tokens`/],
    [{ tokens: true, tokenFrom: {} }, /names no place/],
    [{ tokens: true, tokenFrom: { field: '' } }, /name of a field/],
    [{ tokens: true, deriveKey: () => 'a' }, /exclude each other/],
    [{ tokens: true, failOpen: true }, /exclude each other/],
    [
      { tokens: createTokens({ once: createOnce({ store: memoryStore(), scope: 'inn' }) }) },
      /"inn", not of "shop"/,
    ],
  ])('refuses options that make no sense: %o', (options, message) => {
    const once = createOnce({ store: memoryStore(), scope: 'shop' })
    const given: object =
      'tokens' in options && options.tokens === true ? { tokens: createTokens({ once }) } : {}
    const guard = { once, scope: 'public', ...options, ...given } as IdempotencyOptions<unknown>
    expect(() => idempotency(guard)).toThrow(message)
  })

  it('says of a request without a token, and of an issuer that cannot tell callers, what is missed', async () => {
    const { post } = await shopOn(EXPRESS)
    expect((await post('/orders')).body).toMatchObject({ detail: 'This request needs a one-time token.' })
    const tokens = createTokens({ once: createOnce({ store: memoryStore(), scope: 'shop' }) })
    expect(() => issueToken({ tokens } as never)).toThrow(/^issueToken needs `scope`/)
  })
})
