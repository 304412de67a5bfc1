import type { IncomingMessage, ServerResponse } from 'node:http'
import { type FastifyReplyLike, hijack } from './fastify-reply.ts'
import type { IdempotencyOptions } from './guard-options.ts'
import { type NodeCapture, sendNodeAnswer } from './node-capture.ts'
import { createNodeServe } from './node-serve.ts'
import type { NodeRequest } from './node-types.ts'
import { type IssueTokenOptions, tokenIssuer } from './token-issuer.ts'

export type { IdempotencyOptions } from './guard-options.ts'
export { operationOf } from './operation-of.ts'
export type { IssueTokenOptions } from './token-issuer.ts'

/** What is used of Nest's execution context. */
export interface NestContext {
  getType(): string
  switchToHttp(): { getRequest<T>(): T; getResponse<T>(): T }
}

/** What is used of Nest's call handler. */
export interface NestCallHandler<Stream extends ObservableLike> {
  handle(): Stream
}

/** What is used of an rxjs `Observable`. */
export interface ObservableLike {
  subscribe(observer: ObserverLike): unknown
}

/** What is used of an rxjs `Observer`. */
export interface ObserverLike {
  // biome-ignore lint/suspicious/noExplicitAny: the values of a stream are only handed on
  next(value: any): void
  error(error: unknown): void
  complete(): void
}

/** A Nest interceptor: `app.useGlobalInterceptors(…)`, or `@UseInterceptors(…)` on a controller or a route. */
export interface NestInterceptor {
  intercept<Stream extends ObservableLike>(
    context: NestContext,
    next: NestCallHandler<Stream>,
  ): Promise<Stream>
}

/** What is used of the request of either platform. */
export interface NestRequest {
  readonly headers: IncomingMessage['headers']
  /** Fastify's request holds the one of node:http. */
  readonly raw?: IncomingMessage
  readonly rawBody?: unknown
  readonly body?: unknown
}

type NestResponse = ServerResponse | FastifyReplyLike

/**
 * Makes requests with an `Idempotency-Key` take effect once, in NestJS on Express and on Fastify.
 *
 * It is an interceptor, so Nest's guards (authentication, roles) always run before it. Create the application with
 * `{ rawBody: true }` to compare bodies by their bytes; without it JSON counts by its canonical form.
 *
 * A handler that throws `noEffect(error)` releases; any other 5xx follows `onServerError`.
 *
 * @throws `TypeError` for options that make no sense; `scope` is required.
 * @example
 * app.useGlobalInterceptors(idempotency({ once, scope: (request: Request) => request.user?.id }))
 */
export function idempotency<Request extends object = NestRequest>(
  options: IdempotencyOptions<Request>,
): NestInterceptor {
  const { serve } = createNodeServe(options)
  return {
    intercept<Stream extends ObservableLike>(
      context: NestContext,
      next: NestCallHandler<Stream>,
    ): Promise<Stream> {
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
          next(capture?: NodeCapture) {
            const stream = next.handle()
            resolve(capture ? watched(stream, capture.judge) : stream)
          },
          takeOver() {
            if ('raw' in response) hijack(response)
          },
        }
        Promise.resolve(serve(exchange)).catch(reject)
      })
    },
  }
}

/**
 * Answers a request for a one-time token, which `idempotency({ tokens })` takes: see {@link IssueTokenOptions}. It is an
 * interceptor, so Nest's guards run before it; the handler of its route never runs.
 *
 * @throws `TypeError` for options that make no sense.
 * @example
 * const answersTokens = issueToken({ tokens, scope: (request: Request) => request.user?.id }) // @UseInterceptors(answersTokens)
 */
export function issueToken<Request extends object = NestRequest>(
  options: IssueTokenOptions<Request>,
): NestInterceptor {
  const issue = tokenIssuer(options)
  return {
    async intercept(context, next) {
      if (context.getType() !== 'http') return next.handle()
      const http = context.switchToHttp()
      const response = http.getResponse<NestResponse>()
      const answer = await issue(http.getRequest<Request>())
      if ('raw' in response) hijack(response)
      sendNodeAnswer('raw' in response ? response.raw : response, answer)
      // Nest must not send a second answer.
      return new Promise(() => {})
    },
  }
}

/** The same stream; `onError` sees an error before Nest's exception filters answer it. */
function watched<Stream extends ObservableLike>(stream: Stream, onError: (error: unknown) => void): Stream {
  const Same = stream.constructor as new (subscribe: (observer: ObserverLike) => unknown) => Stream
  return new Same((observer) =>
    stream.subscribe({
      next: (value) => observer.next(value),
      error(error) {
        onError(error)
        observer.error(error)
      },
      complete: () => observer.complete(),
    }),
  )
}
