/** Compiled, never run: what users write must type-check against the frameworks' own types. */
import express, { type Request as ExpressRequest } from 'express'
import fastify, { type FastifyRequest } from 'fastify'
import { type Context, Hono } from 'hono'
import Koa from 'koa'
import type { Once } from '../core/once-types.ts'
import * as forExpress from './express.ts'
import * as forFastify from './fastify.ts'
import * as forFetch from './fetch.ts'
import * as forHono from './hono.ts'
import * as forKoa from './koa.ts'
import * as forNest from './nest.ts'

declare const once: Once

const onExpress = express()
onExpress.use(forExpress.idempotency({ once, scope: (req) => req.get('x-tenant') }))
onExpress.post('/', forExpress.idempotency({ once, scope: (req: ExpressRequest) => req.ip }), (_, res) => {
  res.end()
})

const onKoa = new Koa()
onKoa.use(forKoa.idempotency({ once, scope: (ctx) => ctx.get('x-tenant') }))
onKoa.use(forKoa.idempotency({ once, scope: (ctx: Koa.Context) => ctx.state['user']?.id }))

type Env = { Variables: { user: string } }
const onHono = new Hono<Env>()
onHono.use(forHono.idempotency({ once, scope: (c: Context<Env>) => c.get('user') }))
onHono.post('/', forHono.idempotency({ once, scope: (c) => c.req.header('x-tenant') }), (c) => c.text('x'))

const onFastify = fastify()
onFastify.register(forFastify.idempotency({ once, scope: (req) => req.headers['x-tenant']?.toString() }))
onFastify.register(forFastify.idempotency({ once, scope: (req: FastifyRequest) => req.ip }))

export const POST = forFetch.idempotency({ once, scope: (request) => request.headers.get('x-tenant') })(
  async (_request: Request, route: { params: Promise<{ id: string }> }) => Response.json(await route.params),
)

export const interceptor = forNest.idempotency({ once, scope: (req: ExpressRequest) => req.ip })

// @ts-expect-error a fixed text would let all callers share their keys: it must be said as 'public'
forExpress.idempotency({ once, scope: 'everybody' })

// @ts-expect-error a scope is required
forExpress.idempotency({ once })
