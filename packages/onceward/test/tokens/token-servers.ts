/** A shop on every framework: `POST /token` issues, `POST /orders` takes one token for one order. */
import 'reflect-metadata'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { Controller, Module, Post, UseInterceptors } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { ExpressAdapter } from '@nestjs/platform-express'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import express, { type Request as ExpressRequest } from 'express'
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { Hono, type Context as HonoContext } from 'hono'
import Koa, { type Context as KoaContext } from 'koa'
import * as onExpress from '../../src/http/express.ts'
import * as onFastify from '../../src/http/fastify.ts'
import * as onFetch from '../../src/http/fetch.ts'
import type { IdempotencyOptions } from '../../src/http/guard-options.ts'
import * as onHono from '../../src/http/hono.ts'
import * as onKoa from '../../src/http/koa.ts'
import * as onNest from '../../src/http/nest.ts'
import * as onNode from '../../src/http/node.ts'
import type { IssueTokenOptions } from '../../src/http/token-issuer.ts'
import type { HttpTarget } from '../../src/testing/http-target.ts'
import { listening } from '../http/listening.ts'

/** What a shop is made of. */
export interface Shop {
  /** Options for either helper; `user` reads the field `x-user`. */
  guard<R>(user: (request: R) => string | undefined): IdempotencyOptions<R>
  issue<R>(user: (request: R) => string | undefined): IssueTokenOptions<R>
  /** Takes an order. */
  order(): Promise<object>
}

/** Opens a shop on one framework. */
export type OpenShop = (shop: Shop) => Promise<HttpTarget>

const headerOf = (request: { readonly headers: IncomingMessage['headers'] }): string | undefined =>
  request.headers['x-user']?.toString()

const onExpressWith =
  (...parsers: readonly express.RequestHandler[]): OpenShop =>
  (shop) => {
    const app = express()
    if (parsers.length > 0) app.use(...parsers)
    app.post('/token', onExpress.issueToken(shop.issue<ExpressRequest>(headerOf)))
    app.post(
      '/orders',
      onExpress.idempotency(shop.guard<ExpressRequest>(headerOf)),
      async (_: unknown, res: express.Response) => void res.status(201).json(await shop.order()),
    )
    return listening(createServer(app))
  }

const nest =
  (adapter: () => ExpressAdapter | FastifyAdapter): OpenShop =>
  async (shop) => {
    class Orders {
      token(): void {}
      orders(): Promise<object> {
        return shop.order()
      }
    }
    for (const [name, interceptor] of [
      ['token', onNest.issueToken(shop.issue<onNest.NestRequest>(headerOf))],
      ['orders', onNest.idempotency(shop.guard<onNest.NestRequest>(headerOf))],
    ] as const) {
      const property = Object.getOwnPropertyDescriptor(Orders.prototype, name) as PropertyDescriptor
      Post(name)(Orders.prototype, name, property)
      UseInterceptors(interceptor as never)(Orders.prototype, name, property)
    }
    Controller()(Orders)
    class Shop {}
    Module({ controllers: [Orders] })(Shop)
    const on = adapter()
    if (on instanceof FastifyAdapter) keepParts(on.getInstance())
    const app = await NestFactory.create(Shop, on, { logger: false, rawBody: true })
    await app.listen(0, '127.0.0.1')
    return {
      port: app.getHttpServer().address().port,
      async close() {
        app.getHttpServer().closeAllConnections()
        await app.close()
      },
    }
  }

/** Fastify refuses what it has no parser for. */
function keepParts(app: Pick<FastifyInstance, 'addContentTypeParser'>): void {
  app.addContentTypeParser('multipart/form-data', { parseAs: 'buffer' }, (_, body, done) => done(null, body))
}

/** Every adapter. */
export const SHOPS: Readonly<Record<string, OpenShop>> = {
  Express: onExpressWith(),
  'Express behind body parsers': onExpressWith(express.urlencoded(), express.json()),
  async Fastify(shop) {
    const app = fastify()
    const asText = { parseAs: 'string' } as const
    app.addContentTypeParser('application/x-www-form-urlencoded', asText, (_, body, done) => done(null, body))
    keepParts(app)
    app.post('/token', onFastify.issueToken(shop.issue<FastifyRequest>(headerOf)))
    await app.register((orders, _, done) => {
      orders.register(onFastify.idempotency(shop.guard<FastifyRequest>(headerOf)))
      orders.post('/orders', async (_, reply) => reply.code(201).send(await shop.order()))
      done()
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { port: (app.server.address() as { port: number }).port, close: () => app.close() }
  },
  Koa(shop) {
    const app = new Koa()
    const issue = onKoa.issueToken(shop.issue<KoaContext>(headerOf))
    app.use((ctx, next) => (ctx.path === '/token' ? issue(ctx) : next()))
    app.use(onKoa.idempotency(shop.guard<KoaContext>(headerOf)))
    app.use(async (ctx) => {
      ctx.status = 201
      ctx.body = await shop.order()
    })
    return listening(createServer(app.callback()))
  },
  Hono(shop) {
    const app = new Hono()
    const user = (c: HonoContext) => c.req.header('x-user')
    app.post('/token', onHono.issueToken(shop.issue<HonoContext>(user)))
    app.use('/orders', onHono.idempotency(shop.guard<HonoContext>(user)))
    app.post('/orders', async (c) => c.json(await shop.order(), 201))
    return listening(createServer(getRequestListener(app.fetch)))
  },
  fetch(shop) {
    const user = (request: Request) => request.headers.get('x-user') ?? undefined
    const issue = onFetch.issueToken(shop.issue<Request>(user))
    const orders = onFetch.idempotency(shop.guard<Request>(user))(async () =>
      Response.json(await shop.order(), { status: 201 }),
    )
    const serve = (request: Request) => (request.url.endsWith('/token') ? issue(request) : orders(request))
    return listening(createServer(getRequestListener(serve)))
  },
  'node:http'(shop) {
    const issue = onNode.issueToken(shop.issue<IncomingMessage>(headerOf))
    const orders = onNode.idempotency(shop.guard<IncomingMessage>(headerOf))(
      async (_: IncomingMessage, res: ServerResponse) => {
        const body = JSON.stringify(await shop.order())
        res.writeHead(201, { 'Content-Type': 'application/json' }).end(body)
      },
    )
    return listening(createServer((req, res) => (req.url === '/token' ? issue(req, res) : orders(req, res))))
  },
  'Nest on Express': nest(() => new ExpressAdapter()),
  'Nest on Fastify': nest(() => new FastifyAdapter()),
}
