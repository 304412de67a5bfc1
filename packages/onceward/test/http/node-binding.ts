import { createServer, type IncomingMessage } from 'node:http'
import type { Once } from '../../src/core/once-types.ts'
import type { OperationStore } from '../../src/core/store.ts'
import type { GuardedOnce } from '../../src/http/guard-options.ts'
import { idempotency } from '../../src/http/node.ts'
import type { StartHttp } from '../../src/testing/http-target.ts'
import { guarded } from './guarded.ts'
import { listening } from './listening.ts'
import { appRequest, respond } from './node-application.ts'

/** Starts cases on plain `node:http`, over any store. */
export function startNode(
  openStore?: () => OperationStore,
  breakOnce?: (once: Once) => GuardedOnce,
): StartHttp {
  return (setup) => {
    const header = (request: IncomingMessage, name: string) => request.headers[name]?.toString()
    const { options, close } = guarded<IncomingMessage>(setup, header, openStore, breakOnce)
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
}
