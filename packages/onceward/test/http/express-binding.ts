import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { Request, RequestHandler, Response } from 'express'
import { idempotency } from '../../src/http/express.ts'
import type { AppResponse, StartHttp } from '../../src/testing/http-target.ts'
import { guarded } from './guarded.ts'
import { listening } from './listening.ts'
import { appRequest, isChunks, nodeHeaders, respond } from './node-application.ts'

/** The part of Express that both majors share. */
interface ExpressApplication extends RequestListener {
  use(...handlers: RequestHandler[]): unknown
}

/** Where a body parser that keeps the bytes stands. */
export interface Parser {
  readonly where: 'before' | 'after'
  readonly handler: RequestHandler
}

/** Starts cases on an Express of either major. */
export function startExpress(express: () => ExpressApplication, parser?: Parser): StartHttp {
  return (setup) => {
    const { options, close } = guarded<IncomingMessage>(setup, (request, name) =>
      request.headers[name]?.toString(),
    )
    const app = express()
    app.use((request, response, next) => {
      if (setup.authorize?.({ headers: { authorization: request.headers.authorization } }) !== false) next()
      else response.sendStatus(403)
    })
    if (parser?.where === 'before') app.use(parser.handler)
    app.use(idempotency(options) as RequestHandler)
    if (parser?.where === 'after') app.use(parser.handler)
    app.use((request, response, next) => {
      const answer = async () =>
        send(response, await setup.app(await appRequest(request as Request, parsed(request))))
      answer().catch(next)
    })
    return listening(createServer(app), close)
  }
}

function parsed({ body }: Request): Uint8Array | undefined {
  return body instanceof Uint8Array ? body : undefined
}

async function send(response: Response, answer: AppResponse): Promise<void> {
  const { body, idiom = 'end', status } = answer
  if (idiom === 'stream' || idiom === 'raw' || body === undefined || isChunks(body)) {
    if (idiom === 'redirect')
      return response.redirect(status, answer.headers?.find(([name]) => name === 'location')?.[1] ?? '')
    return respond(response, answer)
  }
  response.status(status)
  for (const [name, value] of nodeHeaders(answer)) response.setHeader(name, value)
  if (idiom === 'json') response.json(JSON.parse(body.toString()))
  else response.send(typeof body === 'string' ? body : Buffer.from(body))
}
