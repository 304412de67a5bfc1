import type { IncomingMessage, ServerResponse } from 'node:http'
import type { IdempotencyOptions } from './guard-options.ts'
import type { LeftBody } from './node-body.ts'
import { type NodeCapture, sendNodeAnswer } from './node-capture.ts'
import { createNodeServe } from './node-serve.ts'
import type { NodeRequest } from './node-types.ts'
import { type IssueTokenOptions, tokenIssuer } from './token-issuer.ts'

export type { IdempotencyOptions } from './guard-options.ts'
export { operationOf } from './operation-of.ts'
export type { IssueTokenOptions } from './token-issuer.ts'

/** What is used of Koa's context. */
export interface KoaContext {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly originalUrl: string
  /** Reads a field of the request. */
  get(name: string): string
  /** Body parsers leave `rawBody` and `body` on it. */
  readonly request: object
  respond?: boolean | undefined
  body: unknown
  onerror(error: Error): void
}

/** A middleware of Koa. */
export type KoaMiddleware<Context extends KoaContext> = (
  ctx: Context,
  next: () => Promise<unknown>,
) => Promise<void>

/**
 * Makes requests with an `Idempotency-Key` take effect once, in Koa.
 *
 * Mount it after authentication, so that nobody gets a replay who may not ask, and before or after body parsers.
 * A handler that throws `noEffect(error)` releases; any other 5xx follows `onServerError`.
 *
 * @throws `TypeError` for options that make no sense; `scope` is required.
 * @example
 * app.use(idempotency({ once, scope: (ctx: Koa.Context) => ctx.state.user?.id }))
 */
export function idempotency<Context extends KoaContext = KoaContext>(
  options: IdempotencyOptions<Context>,
): KoaMiddleware<Context> {
  const { serve } = createNodeServe(options)
  return (ctx, next) =>
    new Promise((resolve, reject) => {
      const run = async (capture?: NodeCapture): Promise<void> => {
        if (capture) ignoreLostClient(ctx)
        try {
          await next()
          if (capture) watchBody(ctx.body, capture)
          resolve()
        } catch (error) {
          capture?.judge(error)
          // Koa answers it, through its error handler: that answer is the response.
          reject(error)
        }
      }
      const takeOver = (): void => {
        ctx.respond = false
      }
      const req = Object.assign(ctx.req, { originalUrl: ctx.originalUrl }) as NodeRequest
      const exchange = { req, res: ctx.res, request: ctx, left: ctx.request as LeftBody, next: run, takeOver }
      Promise.resolve(serve(exchange)).then(() => {
        if (ctx.respond === false) resolve()
      }, reject)
    })
}

/** Koa would answer 500 when the connection breaks, while the handler is still at work. */
function ignoreLostClient(ctx: KoaContext): void {
  const { socket } = ctx.req
  const answer = ctx.onerror
  ctx.onerror = (error) => {
    if (error === null || error === undefined || error !== socket.errored) answer.call(ctx, error)
  }
}

/** Koa leaves a response unfinished whose stream breaks after the first chunk. */
function watchBody(body: unknown, capture: NodeCapture): void {
  const stream = body as
    | { once?(event: 'error', listener: (error: unknown) => void): void }
    | null
    | undefined
  if (typeof stream?.once === 'function') stream.once('error', capture.fail)
}

/**
 * Answers a request for a one-time token, which `idempotency({ tokens })` takes: see {@link IssueTokenOptions}. Mount it after
 * authentication.
 *
 * @throws `TypeError` for options that make no sense.
 * @example
 * app.use(issueToken({ tokens, scope: (ctx: Koa.Context) => ctx.state.user?.id })) // on the route of tokens alone
 */

export function issueToken<Context extends KoaContext = KoaContext>(
  options: IssueTokenOptions<Context>,
): (ctx: Context) => Promise<void> {
  const issue = tokenIssuer(options)
  return async (ctx) => {
    const answer = await issue(ctx)
    ctx.respond = false
    sendNodeAnswer(ctx.res, answer)
  }
}
