import { describe, expect, it } from 'vitest'
import { createOnce } from '../core/create-once.ts'
import { memoryStore } from '../stores/memory/index.ts'
import { idempotency, operationOf } from './fetch.ts'

class SpecialRequest extends Request {
  readonly special = true
}

function post(init: RequestInit = {}): SpecialRequest {
  const headers = { 'idempotency-key': 'k', 'content-type': 'application/json' }
  return new SpecialRequest('http://localhost/payments?a=1', {
    method: 'POST',
    headers,
    body: '{"a":1}',
    ...init,
  })
}

function guard() {
  return idempotency({ once: createOnce({ store: memoryStore(), scope: 'test' }), scope: 'public' })
}

describe('a guarded fetch handler', () => {
  it('gets a request of the same class with its body, and what followed it', async () => {
    const handler = guard()(async (request: SpecialRequest, route: { id: string }) =>
      Response.json([
        request.special,
        request.url,
        await request.json(),
        route.id,
        operationOf(request)?.attempt,
      ]),
    )
    const [first, again] = [await handler(post(), { id: '7' }), await handler(post(), { id: '7' })]
    const expected = [true, 'http://localhost/payments?a=1', { a: 1 }, '7', 1]
    expect([await first.json(), await again.json()]).toEqual([expected, expected])
  })

  it('is not stopped by a client who goes', async () => {
    const client = new AbortController()
    const handler = guard()(async (request: Request) => {
      client.abort()
      request.signal.throwIfAborted()
      return new Response('done')
    })
    await handler(post({ signal: client.signal }))
    expect(await (await handler(post())).text()).toBe('done')
  })

  it('rejects with what it threw', async () => {
    const error = new Error('mine')
    const handler = guard()(() => Promise.reject(error))
    await expect(handler(post())).rejects.toBe(error)
    expect((await handler(post())).status).toBe(409)
  })

  it('gets requests without a key untouched', async () => {
    const request = new Request('http://localhost/', { method: 'POST', body: 'x' })
    const handler = guard()(async (given: Request) => new Response(`${given === request}`))
    expect(await (await handler(request)).text()).toBe('true')
  })

  it('says that a body which was read before cannot be compared', async () => {
    const request = post()
    await request.text()
    await expect(guard()(() => new Response())(request)).rejects.toThrow(/read before/)
  })

  it.each([204, 205, 304])('may answer %s, which has no body', async (status) => {
    const handler = guard()(() => new Response(null, { status, headers: { etag: '"1"' } }))
    await handler(post())
    const again = await handler(post())
    expect([again.status, again.headers.get('etag'), again.body]).toEqual([status, '"1"', null])
  })
})
