import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyReplyLike } from './fastify.ts'
import type { IdempotencyOptions } from './guard-options.ts'
import { createNodeServe } from './node-serve.ts'
import type { NodeRequest } from './node-types.ts'

export type { IdempotencyOptions } from './guard-options.ts'
export { operationOf } from './operation-of.ts'

/** What is used of Nest's execution context. */
export interface NestContext {
  getType(): string
  switchToHttp(): { getRequest<T>(): T; getResponse<T>(): T }
}

/** What is used of Nest's call handler. `Stream` is an rxjs `Observable`, which is only handed on. */
export interface NestCallHandler<Stream> {
  handle(): Stream
}

/** A Nest interceptor: `app.useGlobalInterceptors(…)`, or `@UseInterceptors(…)` on a controller or a route. */
export interface NestInterceptor {
  intercept<Stream>(context: NestContext, next: NestCallHandler<Stream>): Promise<Stream>
}

type NestRequest = { readonly raw?: IncomingMessage; readonly rawBody?: unknown; readonly body?: unknown }
type NestResponse = ServerResponse | (FastifyReplyLike & { readonly raw: ServerResponse })

/**
 * Makes requests with an `Idempotency-Key` take effect once, in NestJS on Express and on Fastify.
 *
 * It is an interceptor, so Nest's guards (authentication, roles) always run before it. Create the application with
 * `{ rawBody: true }` to compare bodies by their bytes; without it JSON counts by its canonical form.
 *
 * Limit: Nest turns what a handler throws into a response out of sight. A handler whose failure did nothing says so by
 * the response field `Onceward-Effect: none`, else a 5xx follows `onServerError`.
 *
 * @throws `TypeError` for options that make no sense; `scope` is required.
 * @example
 * app.useGlobalInterceptors(idempotency({ once, scope: (request) => request.user?.id }))
 */
export function idempotency<Request extends object = NestRequest>(
  options: IdempotencyOptions<Request>,
): NestInterceptor {
  const { serve } = createNodeServe(options)
  return {
    intercept<Stream>(context: NestContext, next: NestCallHandler<Stream>): Promise<Stream> {
      if (context.getType() !== 'http') return Promise.resolve(next.handle())
      const http = context.switchToHttp()
      const request = http.getRequest<Request & NestRequest & NodeRequest>()
      const response = http.getResponse<NestResponse>()
      // Where the guard answers by itself the promise stays open: Nest must not send a second answer.
      return new Promise((resolve, reject) => {
        const exchange = {
          req: (request.raw ?? request) as NodeRequest,
          res: 'raw' in response ? response.raw : response,
          request,
          left: request,
          next: () => resolve(next.handle()),
          takeOver() {
            if (!('raw' in response)) return
            response.hijack()
            for (const [name, value] of Object.entries(response.getHeaders())) {
              if (value !== undefined) response.raw.setHeader(name, value)
            }
          },
        }
        Promise.resolve(serve(exchange)).catch(reject)
      })
    },
  }
}
