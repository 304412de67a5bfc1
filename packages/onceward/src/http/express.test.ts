import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type Request } from 'express'
import express4 from 'express-4'
import { afterEach, describe, expect, it } from 'vitest'
import { createOnce } from '../core/create-once.ts'
import { memoryStore } from '../stores/memory/index.ts'
import { idempotency, operationOf } from './express.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function listen(app: express.Express): Promise<string> {
  const server = app.listen(0, '127.0.0.1')
  servers.push(server)
  await new Promise((resolve) => server.once('listening', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function guard(options: { readonly waitMs?: number } = {}) {
  const once = createOnce({ store: memoryStore(), scope: 'payments' })
  return idempotency<Request>({ once, scope: (req) => req.get('x-tenant'), ...options })
}

function pay(url: string, key: string, body: unknown = { amount: 5 }, headers: Record<string, string> = {}) {
  return fetch(`${url}/payments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key, 'x-tenant': 'acme', ...headers },
    body: JSON.stringify(body),
  })
}

describe.each([
  ['Express 5', express],
  ['Express 4', express4 as unknown as typeof express],
])('%s', (_, express) => {
  it.each(['before', 'after'])('runs the handler once with the parser mounted %s', async (where) => {
    const app = express()
    if (where === 'before') app.use(express.json())
    app.use(guard())
    if (where === 'after') app.use(express.json())
    let runs = 0
    app.post('/payments', (req, res) => {
      runs++
      res.status(201).location('/payments/1').cookie('s', '1').json({ runs, amount: req.body.amount })
    })
    const url = await listen(app)
    const [first, second] = await Promise.all([pay(url, 'k1'), pay(url, 'k1')])
    const third = await pay(url, '"k1"')
    expect(runs).toBe(1)
    const texts = await Promise.all([first, second, third].map((response) => response.text()))
    expect(texts).toEqual(Array(3).fill('{"runs":1,"amount":5}'))
    expect(third.status).toBe(201)
    expect(third.headers.get('idempotent-replayed')).toBe('true')
    expect(third.headers.get('set-cookie')).toBeNull()
    expect(third.headers.get('location')).toBe('/payments/1')
    const reused = await pay(url, 'k1', { amount: 6 })
    expect(reused.status).toBe(422)
    expect(await reused.json()).toMatchObject({ code: 'key-reused', retryable: false, effect: 'none' })
  })

  it('gives the handler its operation', async () => {
    const app = express()
    app.use(guard())
    app.post('/payments', (req, res) => {
      res.json({ fence: operationOf(req)?.fence, key: operationOf(req)?.downstreamKey('bank') })
    })
    const url = await listen(app)
    expect(await (await pay(url, 'k')).json()).toEqual({
      fence: expect.any(Number),
      key: expect.stringMatching(/^.{43}$/),
    })
  })
})
