import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { describe, it } from 'vitest'
import { idempotency } from '../../src/http/fetch.ts'
import { registerCases } from '../../src/testing/conformance-case.ts'
import { httpConformance } from '../../src/testing/http-conformance.ts'
import type { StartHttp } from '../../src/testing/http-target.ts'
import { guarded } from './guarded.ts'
import { listening } from './listening.ts'
import { webAppRequest, webResponse } from './web-application.ts'

const start: StartHttp = (setup) => {
  const { options, close } = guarded<Request>(
    setup,
    (request, name) => request.headers.get(name) ?? undefined,
  )
  const handle = idempotency(options)(async (request: Request) =>
    webResponse(await setup.app(await webAppRequest(request))),
  )
  const listener = getRequestListener(
    (request) => {
      const authorization = request.headers.get('authorization') ?? undefined
      return setup.authorize?.({ headers: { authorization } }) === false
        ? new Response('forbidden', { status: 403 })
        : handle(request)
    },
    { errorHandler: () => new Response('failed', { status: 500 }) },
  )
  return listening(createServer(listener), close)
}

describe('a Web-standard fetch handler', () => {
  registerCases(it, httpConformance(start))
})
