import 'reflect-metadata'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { All, Controller, type INestApplication, Module, Req, Res, StreamableFile } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { idempotency } from '../../src/http/nest.ts'
import type { AppResponse, HttpApplication, StartHttp } from '../../src/testing/http-target.ts'
import { guarded } from './guarded.ts'
import { appRequest, isChunks, nodeHeaders } from './node-application.ts'

/** A request of either platform. */
interface NestRequest {
  readonly raw?: IncomingMessage
  readonly headers: IncomingMessage['headers']
  readonly body?: unknown
}

/** A response of either platform. */
interface NestResponse {
  readonly raw?: ServerResponse
  status(code: number): unknown
  header(name: string, value: string | string[]): unknown
}

/** Creates an application on one of Nest's platforms, without its body parsers. */
export type CreateNest = (module: object) => Promise<INestApplication>

/** Starts cases on one of Nest's platforms. */
export function startNest(create: CreateNest, path: string): StartHttp {
  return async (setup) => {
    const { options, close } = guarded<NestRequest>(setup, (request, name) =>
      request.headers[name]?.toString(),
    )
    const app = await create(moduleOf(setup.app, path))
    app.useGlobalGuards({
      canActivate: (context) => {
        const request = context.switchToHttp().getRequest<NestRequest>()
        return setup.authorize?.({ headers: { authorization: request.headers.authorization } }) !== false
      },
    })
    app.useGlobalInterceptors(idempotency(options) as never)
    await app.listen(0, '127.0.0.1')
    return {
      port: app.getHttpServer().address().port,
      async close() {
        app.getHttpServer().closeAllConnections()
        await app.close()
        await close()
      },
    }
  }
}

/** A module of one controller for everything; decorators are applied by hand, for tools that do not know them. */
function moduleOf(app: HttpApplication, path: string): object {
  class Everything {
    async handle(request: NestRequest, response: NestResponse): Promise<unknown> {
      const body = request.body instanceof Uint8Array ? request.body : undefined
      return answer(response, await app(await appRequest(request.raw ?? (request as IncomingMessage), body)))
    }
  }
  const handle = Object.getOwnPropertyDescriptor(Everything.prototype, 'handle') as PropertyDescriptor
  Req()(Everything.prototype, 'handle', 0)
  Res({ passthrough: true })(Everything.prototype, 'handle', 1)
  All(path)(Everything.prototype, 'handle', handle)
  Controller()(Everything)
  class Root {}
  Module({ controllers: [Everything] })(Root)
  return Root
}

function answer(response: NestResponse, reply: AppResponse): unknown {
  const { status, body, idiom } = reply
  response.status(status)
  for (const [name, value] of nodeHeaders(reply)) response.header(name, value)
  if (body === undefined) return undefined
  if (isChunks(body)) {
    const file = new StreamableFile(Readable.from(body))
    // Nest's own handler would pass half a stream off as a whole one.
    return file.setErrorHandler((_error, broken) => (broken as unknown as ServerResponse).destroy())
  }
  if (idiom === 'json') return JSON.parse(body.toString())
  return typeof body === 'string' ? body : new StreamableFile(body)
}

export { NestFactory }
