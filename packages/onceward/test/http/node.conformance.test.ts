import { createServer, type IncomingMessage } from 'node:http'
import { describe, it } from 'vitest'
import { idempotency } from '../../src/http/node.ts'
import { registerCases } from '../../src/testing/conformance-case.ts'
import { httpConformance } from '../../src/testing/http-conformance.ts'
import type { StartHttp } from '../../src/testing/http-target.ts'
import { guarded } from './guarded.ts'
import { listening } from './listening.ts'
import { appRequest, respond } from './node-application.ts'

const start: StartHttp = (setup) => {
  const { options, close } = guarded<IncomingMessage>(setup, (request, name) =>
    request.headers[name]?.toString(),
  )
  const handle = idempotency(options)(async (request, response) =>
    respond(response, await setup.app(await appRequest(request))),
  )
  const server = createServer((request, response) => {
    if (setup.authorize?.({ headers: { authorization: request.headers.authorization } }) === false)
      response.writeHead(403).end('forbidden')
    else handle(request, response)
  })
  return listening(server, close)
}

describe('plain node:http', () => {
  registerCases(it, httpConformance(start))
})
