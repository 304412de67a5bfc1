import 'reflect-metadata'
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { getRequestListener, serve } from '@hono/node-server'
import { Body, Controller, Module, Post, Res } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { ExpressAdapter } from '@nestjs/platform-express'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import express, { type Request as ExpressRequest } from 'express'
import express4 from 'express-4'
import fastify, { type FastifyRequest } from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { afterEach, describe, expect, it } from 'vitest'
import { createOnce } from '../core/create-once.ts'
import type { Once } from '../core/once-types.ts'
import { noEffect } from '../core/verdict.ts'
import { memoryStore } from '../stores/memory/index.ts'
import * as forExpress from './express.ts'
import * as forFastify from './fastify.ts'
import * as forFetch from './fetch.ts'
import * as forHono from './hono.ts'
import * as forKoa from './koa.ts'
import * as forNest from './nest.ts'
import * as forNode from './node.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

/** What an application does with a payment, free of any framework. */
class Payments {
  runs = 0
  streaming = false
  release: () => void = () => {}
  readonly gate = new Promise<void>((resolve) => {
    this.release = resolve
  })

  async pay(body: { mode?: string; amount?: number }): Promise<{ status: number; body: string | Readable }> {
    const run = ++this.runs
    if (body.mode === 'throw') throw new Error('a secret of the handler')
    if (body.mode === 'nothing happened' && run === 1) throw noEffect(new Error('nothing happened'))
    if (body.mode === 'slow') await this.gate
    if (body.mode === 'slow stream') return { status: 201, body: Readable.from(this.#slowly(run)) }
    if (body.mode === 'large') return { status: 201, body: 'x'.repeat(5000) }
    if (body.mode === 'stream')
      return { status: 201, body: Readable.from([Buffer.from(`run ${run}, `), Buffer.from('streamed')]) }
    return { status: 201, body: JSON.stringify({ run, amount: body.amount }) }
  }

  async *#slowly(run: number): AsyncGenerator<Buffer> {
    yield Buffer.from(`run ${run}, `)
    this.streaming = true
    await this.gate
    yield Buffer.from('to the end')
  }
}

/** One framework: starts a server whose handler is guarded and answers the URL. */
type Start = (once: Once, app: Payments) => Promise<string>

const tenant = (req: IncomingMessage) => req.headers['x-tenant']?.toString()
const HEADERS = [
  ['Location', '/payments/1'],
  ['Set-Cookie', 'a=1'],
  ['Content-Type', 'text/plain'],
] as const
const OPTIONS = { maxResponseBytes: 4096 }

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  closers.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function write(res: ServerResponse, { status, body }: { status: number; body: string | Readable }): void {
  res.statusCode = status
  for (const [name, value] of HEADERS) res.setHeader(name, value)
  if (typeof body === 'string') res.end(body)
  else body.pipe(res)
}

function onExpress(make: typeof express, parser: 'before' | 'after'): Start {
  return (once, payments) => {
    const app = make()
    if (parser === 'before') app.use(make.json())
    app.use(forExpress.idempotency<ExpressRequest>({ once, scope: (req) => req.get('x-tenant'), ...OPTIONS }))
    if (parser === 'after') app.use(make.json())
    app.post('/payments', (req, res, next) => {
      payments.pay(req.body).then((answer) => write(res, answer), next)
    })
    app.use((_error: unknown, _req: unknown, res: ServerResponse, _next: unknown) => {
      res.statusCode = 500
      res.end('failed')
    })
    return listen(createServer(app))
  }
}

const onNode: Start = (once, payments) => {
  const guard = forNode.idempotency({ once, scope: tenant, ...OPTIONS })
  const handler = async (req: IncomingMessage, res: ServerResponse) => {
    let text = ''
    for await (const chunk of req) text += chunk
    write(res, await payments.pay(JSON.parse(text)))
  }
  return listen(createServer(guard(handler)))
}

const onKoa: Start = (once, payments) => {
  const app = new Koa()
  app.silent = true
  app.use(forKoa.idempotency<Koa.Context>({ once, scope: (ctx) => ctx.get('x-tenant'), ...OPTIONS }))
  app.use(async (ctx) => {
    let text = ''
    for await (const chunk of ctx.req) text += chunk
    const { status, body } = await payments.pay(JSON.parse(text))
    ctx.status = status
    ctx.body = body
    for (const [name, value] of HEADERS) ctx.set(name, value)
  })
  return listen(createServer(app.callback()))
}

const onFastify: Start = async (once, payments) => {
  const app = fastify()
  await app.register(
    forFastify.idempotency<FastifyRequest>({
      once,
      scope: (req) => req.headers['x-tenant']?.toString(),
      ...OPTIONS,
    }),
  )
  app.post('/payments', async (request, reply) => {
    const { status, body } = await payments.pay(request.body as object)
    return reply.code(status).headers(Object.fromEntries(HEADERS)).send(body)
  })
  closers.push(() => app.close())
  return app.listen({ port: 0, host: '127.0.0.1' })
}

function onNest(platform: 'express' | 'fastify'): Start {
  return async (once, payments) => {
    class PaymentsController {
      async pay(
        body: object,
        res: ServerResponse & { raw?: ServerResponse; hijack?(): void },
      ): Promise<void> {
        const answer = await payments.pay(body)
        res.hijack?.()
        write(res.raw ?? res, answer)
      }
    }
    Body()(PaymentsController.prototype, 'pay', 0)
    Res()(PaymentsController.prototype, 'pay', 1)
    Post('payments')(
      PaymentsController.prototype,
      'pay',
      Object.getOwnPropertyDescriptor(PaymentsController.prototype, 'pay') as PropertyDescriptor,
    )
    Controller()(PaymentsController)
    class AppModule {}
    Module({ controllers: [PaymentsController] })(AppModule)
    const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter()
    const app = await NestFactory.create(AppModule, adapter, { logger: false, rawBody: true })
    app.useGlobalInterceptors(
      forNest.idempotency<{ headers: IncomingMessage['headers'] }>({
        once,
        scope: (req) => req.headers['x-tenant']?.toString(),
        ...OPTIONS,
      }),
    )
    await app.listen(0, '127.0.0.1')
    closers.push(() => app.close())
    return app.getUrl()
  }
}

const onHono: Start = async (once, payments) => {
  const app = new Hono()
  app.use(forHono.idempotency({ once, scope: (c) => c.req.raw.headers.get('x-tenant'), ...OPTIONS }))
  app.post('/payments', async (c) => {
    const { status, body } = await payments.pay(await c.req.json())
    return c.body(webBody(body), status as 201, Object.fromEntries(HEADERS))
  })
  app.onError((_error, c) => c.text('failed', 500))
  return new Promise((resolve) => {
    const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) =>
      resolve(`http://127.0.0.1:${port}`),
    )
    closers.push(
      () =>
        new Promise((done) => {
          ;(server as Server).closeAllConnections()
          server.close(done)
        }),
    )
  })
}

const onFetch: Start = (once, payments) => {
  const guard = forFetch.idempotency({
    once,
    scope: (request) => request.headers.get('x-tenant'),
    ...OPTIONS,
  })
  const handler = guard(async (request: Request) => {
    const { status, body } = await payments.pay((await request.json()) as object)
    return new Response(webBody(body), {
      status,
      headers: HEADERS.map(([name, value]): [string, string] => [name, value]),
    })
  })
  const guarded = (request: Request) => handler(request).catch(() => new Response('failed', { status: 500 }))
  return listen(createServer(getRequestListener(guarded)))
}

function webBody(body: string | Readable): string | ReadableStream {
  return typeof body === 'string' ? body : (Readable.toWeb(body) as ReadableStream)
}

const FRAMEWORKS: readonly (readonly [name: string, start: Start, tellsThrows: boolean])[] = [
  ['Express 5, parser after', onExpress(express, 'after'), false],
  ['Express 5, parser before', onExpress(express, 'before'), false],
  ['Express 4', onExpress(express4 as unknown as typeof express, 'after'), false],
  ['Fastify', onFastify, true],
  ['Koa', onKoa, true],
  ['Hono', onHono, true],
  ['Nest on Express', onNest('express'), true],
  ['Nest on Fastify', onNest('fastify'), true],
  ['a fetch handler', onFetch, true],
  ['node:http', onNode, true],
]

function post(
  url: string,
  key: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${url}/payments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key, 'x-tenant': 'acme', ...headers },
    body: JSON.stringify(body),
  })
}

/** Sends a request and resets the connection once `begun`; resolves when the server has had the time to notice. */
async function leave(url: string, payment: object, begun: () => boolean): Promise<void> {
  const body = JSON.stringify(payment)
  const headers = {
    'content-type': 'application/json',
    'content-length': body.length,
    'idempotency-key': 'gone',
    'x-tenant': 'acme',
  }
  const client = httpRequest(`${url}/payments`, { method: 'POST', headers, agent: false })
  client.on('error', () => {})
  client.end(body)
  await expect.poll(begun).toBe(true)
  client.socket?.resetAndDestroy()
  // A whole exchange on another connection: the reset that was sent before has been seen by its end.
  for (let time = 0; time < 3; time++) await (await post(url, `other ${time}`, {})).text()
}

describe.each(FRAMEWORKS)('%s', (_name, start, tellsThrows) => {
  async function started(): Promise<{ url: string; payments: Payments }> {
    const payments = new Payments()
    const url = await start(createOnce({ store: memoryStore(), scope: 'payments' }), payments)
    return { url, payments }
  }

  it('charges once for parallel duplicates and tells all the same', async () => {
    const { url, payments } = await started()
    const answers = await Promise.all([1, 2, 3].map(() => post(url, 'k1', { amount: 5 })))
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201])
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(
      Array(3).fill('{"run":1,"amount":5}'),
    )
    expect(payments.runs).toBe(1)
    expect(answers.filter((answer) => answer.headers.get('idempotent-replayed') === 'true')).toHaveLength(2)
    expect(answers.filter((answer) => answer.headers.get('set-cookie') === 'a=1')).toHaveLength(1)
    expect(answers.map((answer) => answer.headers.get('location'))).toEqual(Array(3).fill('/payments/1'))
  })

  it('refuses another body under the same key', async () => {
    const { url, payments } = await started()
    await post(url, 'k1', { amount: 5 })
    const reused = await post(url, 'k1', { amount: 6 })
    expect(reused.status).toBe(422)
    expect(reused.headers.get('content-type')).toBe('application/problem+json')
    expect(await reused.json()).toMatchObject({ code: 'key-reused', retryable: false, effect: 'none' })
    expect(payments.runs).toBe(1)
  })

  it('stores and replays a streamed response', async () => {
    const { url } = await started()
    const [first, again] = [
      await post(url, 's', { mode: 'stream' }),
      await post(url, 's', { mode: 'stream' }),
    ]
    expect(await first.text()).toBe('run 1, streamed')
    expect(await again.text()).toBe('run 1, streamed')
    expect(again.headers.get('idempotent-replayed')).toBe('true')
  })

  it('passes a response beyond the cap through and does not run it again', async () => {
    const { url, payments } = await started()
    const first = await post(url, 'big', { mode: 'large' })
    expect(first.status).toBe(201)
    expect((await first.text()).length).toBe(5000)
    const again = await post(url, 'big', { mode: 'large' })
    expect(again.status).toBe(409)
    expect(await again.json()).toMatchObject({
      code: 'response-not-replayable',
      status: 201,
      location: '/payments/1',
    })
    expect(payments.runs).toBe(1)
  })

  it('holds an operation whose handler threw, and says nothing of the error', async () => {
    const { url, payments } = await started()
    const first = await post(url, 't', { mode: 'throw' })
    expect(first.status).toBe(500)
    const again = await post(url, 't', { mode: 'throw' })
    expect(again.status).toBe(409)
    expect(await again.json()).toMatchObject({ code: 'outcome-unknown', retryable: false, effect: 'unknown' })
    expect(payments.runs).toBe(1)
  })

  it('runs again after a throw marked as without effect', async ({ skip }) => {
    skip(!tellsThrows, 'not applicable: this framework keeps throws from middleware')
    const { url, payments } = await started()
    expect((await post(url, 'n', { mode: 'nothing happened' })).status).toBe(500)
    expect((await post(url, 'n', { mode: 'nothing happened' })).status).toBe(201)
    expect(payments.runs).toBe(2)
  })

  it('finishes and remembers when the client has gone', async () => {
    const { url, payments } = await started()
    await leave(url, { mode: 'slow', amount: 7 }, () => payments.runs === 1)
    payments.release()
    const again = await post(url, 'gone', { mode: 'slow', amount: 7 })
    expect(again.status).toBe(201)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(await again.json()).toEqual({ run: 1, amount: 7 })
  })

  it('finishes a stream whose client has gone in the middle of it', async () => {
    const { url, payments } = await started()
    await leave(url, { mode: 'slow stream' }, () => payments.streaming)
    payments.release()
    const again = await post(url, 'gone', { mode: 'slow stream' })
    expect(again.status).toBe(201)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(await again.text()).toBe('run 1, to the end')
  })

  it('refuses a caller it does not know', async () => {
    const { url, payments } = await started()
    const answer = await post(url, 'k1', { amount: 5 }, { 'x-tenant': '' })
    expect(answer.status).toBe(401)
    expect(await answer.json()).toMatchObject({ code: 'scope-missing' })
    expect(payments.runs).toBe(0)
  })
})

it.each(Object.entries({ forExpress, forFastify, forFetch, forHono, forKoa, forNest, forNode }))(
  '%s without options is a TypeError that names the mend',
  (_name, { idempotency }) => {
    const make = idempotency as (options?: unknown) => unknown
    expect(() => make()).toThrow(/idempotency needs `scope`/)
    expect(() => make({ scope: 'public' })).toThrow(/idempotency needs `once`/)
    expect(() => make({ scope: 'public', once: {}, wait: 1 })).toThrow(/unknown field "wait"/)
  },
)
