import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import type { ContentfulStatusCode, RedirectStatusCode } from 'hono/utils/http-status'
import { describe, it } from 'vitest'
import { idempotency } from '../../src/http/hono.ts'
import { registerCases } from '../../src/testing/conformance-case.ts'
import { httpConformance } from '../../src/testing/http-conformance.ts'
import type { AppResponse, StartHttp } from '../../src/testing/http-target.ts'
import { guarded } from './guarded.ts'
import { listening } from './listening.ts'
import { isChunks } from './node-application.ts'
import { streamOf, webAppRequest } from './web-application.ts'

const start: StartHttp = (setup) => {
  const { options, close } = guarded<Context>(setup, (c, name) => c.req.header(name))
  const app = new Hono()
  app.use(async (c, next) =>
    setup.authorize?.({ headers: { authorization: c.req.header('authorization') } }) === false
      ? c.text('forbidden', 403)
      : next(),
  )
  app.use(idempotency<Context>(options))
  app.all('*', async (c) => answer(c, await setup.app(await webAppRequest(c.req.raw))))
  app.onError((_error, c) => c.text('failed', 500))
  return listening(createServer(getRequestListener(app.fetch)), close)
}

function answer(c: Context, { status, headers = [], body, idiom }: AppResponse): Response {
  for (const [name, value] of headers) c.header(name, value, { append: true })
  if (idiom === 'redirect') {
    const location = headers.find(([name]) => name === 'location')?.[1] ?? ''
    return c.redirect(location, status as RedirectStatusCode)
  }
  c.status(status as ContentfulStatusCode)
  if (body === undefined || status === 204 || status === 304) return c.body(null)
  if (isChunks(body)) return c.body(streamOf(body))
  if (idiom === 'json') return c.json(JSON.parse(body.toString()))
  return c.body(typeof body === 'string' ? body : Uint8Array.from(body))
}

describe('Hono', () => {
  registerCases(it, httpConformance(start))
})
