import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import Koa, { type Context } from 'koa'
import { describe, it } from 'vitest'
import { idempotency } from '../../src/http/koa.ts'
import { registerCases } from '../../src/testing/conformance-case.ts'
import { httpConformance } from '../../src/testing/http-conformance.ts'
import type { AppResponse, StartHttp } from '../../src/testing/http-target.ts'
import { guarded } from './guarded.ts'
import { listening } from './listening.ts'
import { appRequest, isChunks, nodeHeaders, respond } from './node-application.ts'

const start: StartHttp = (setup) => {
  const { options, close } = guarded<Context>(setup, (ctx, name) => ctx.get(name))
  const app = new Koa()
  app.silent = true
  app.use((ctx, next) =>
    setup.authorize?.({ headers: { authorization: ctx.get('authorization') } }) === false
      ? ctx.throw(403)
      : next(),
  )
  app.use(idempotency<Context>(options))
  app.use(async (ctx) => {
    const response = await setup.app(await appRequest(ctx.req))
    if (response.idiom !== 'raw') return answer(ctx, response)
    ctx.respond = false
    await respond(ctx.res, response)
  })
  return listening(createServer(app.callback()), close)
}

function answer(ctx: Context, { status, body, idiom, ...rest }: AppResponse): void {
  for (const [name, value] of nodeHeaders({ status, ...rest })) ctx.set(name, value)
  if (idiom === 'redirect') ctx.redirect(String(ctx.response.get('location')))
  ctx.status = status
  if (idiom === 'redirect') return
  if (body === undefined) ctx.body = status === 204 || status === 304 ? null : ''
  else if (isChunks(body)) ctx.body = Readable.from(body)
  else if (idiom === 'json') ctx.body = JSON.parse(body.toString())
  else ctx.body = typeof body === 'string' ? body : Buffer.from(body)
}

describe('Koa', () => {
  registerCases(it, httpConformance(start))
})
