import type { IncomingMessage } from 'node:http'
import { type FastifyReplyLike, hijack } from './fastify-reply.ts'
import type { IdempotencyOptions } from './guard-options.ts'
import type { NodeCapture } from './node-capture.ts'
import { createNodeServe } from './node-serve.ts'
import type { NodeRequest } from './node-types.ts'
import { type IssueTokenOptions, tokenIssuer } from './token-issuer.ts'
import type { SendAnswer } from './types.ts'

export type { FastifyReplyLike } from './fastify-reply.ts'
export type { IdempotencyOptions } from './guard-options.ts'
export { operationOf } from './operation-of.ts'
export type { IssueTokenOptions } from './token-issuer.ts'

/** What is used of Fastify's request. */
export interface FastifyRequestLike {
  readonly raw: IncomingMessage
  readonly headers: IncomingMessage['headers']
  readonly rawBody?: unknown
  readonly body?: unknown
}

/** What is used of a Fastify instance. */
export interface FastifyLike {
  // biome-ignore lint/suspicious/noExplicitAny: the overloads of addHook for each hook cannot be told structurally
  addHook(name: any, hook: any): unknown
}

/** A Fastify plugin, not encapsulated: it guards the routes of the instance it is registered on. */
export type FastifyPlugin = (app: FastifyLike, options: object, done: (error?: Error) => void) => void

/**
 * Makes requests with an `Idempotency-Key` take effect once, in Fastify 5.
 *
 * The guard stands in `preHandler`, after validation and the hooks registered before it: register authentication
 * first (`onRequest`, or an earlier `preHandler`), so that nobody gets a replay who may not ask. A handler that throws
 * `noEffect(error)` releases; any other 5xx follows `onServerError`.
 *
 * @throws `TypeError` for options that make no sense; `scope` is required.
 * @example
 * await app.register(idempotency({ once, scope: (request: FastifyRequest) => request.user?.id }))
 */
export function idempotency<Request extends FastifyRequestLike = FastifyRequestLike>(
  options: IdempotencyOptions<Request>,
): FastifyPlugin {
  const { serve, keepBody } = createNodeServe(options)
  const captures = new WeakMap<Request, NodeCapture>()

  const plugin: FastifyPlugin = (app, _options, done) => {
    app.addHook('preParsing', async (request: Request, reply: FastifyReplyLike) => {
      const refusal = await keepBody(request.raw as NodeRequest)
      if (refusal) sendByFastify(reply, refusal)
    })

    app.addHook(
      'preHandler',
      (request: Request, reply: FastifyReplyLike, next: (error?: unknown) => void) => {
        const exchange = {
          req: request.raw as NodeRequest,
          res: reply.raw,
          request,
          left: request,
          next(capture?: NodeCapture) {
            if (capture) captures.set(request, capture)
            next()
          },
          takeOver: () => hijack(reply),
        }
        Promise.resolve(serve(exchange)).catch(next)
      },
    )

    app.addHook('onError', (request: Request, _reply: unknown, error: unknown, next: () => void) => {
      captures.get(request)?.judge(error)
      next()
    })
    done()
  }
  return Object.assign(plugin, {
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: 'onceward',
  })
}

function sendByFastify(reply: FastifyReplyLike, answer: SendAnswer): void {
  reply.code(answer.status)
  for (const [name, value] of answer.headers) reply.header(name, value)
  reply.send(answer.body)
}

/**
 * Answers a request for a one-time token, which `idempotency({ tokens })` takes: see {@link IssueTokenOptions}. It stands
 * where a handler does, after the hooks that authenticate.
 *
 * @throws `TypeError` for options that make no sense.
 * @example
 * app.post('/token', issueToken({ tokens, scope: (request: FastifyRequest) => request.user?.id }))
 */

export function issueToken<Request extends FastifyRequestLike = FastifyRequestLike>(
  options: IssueTokenOptions<Request>,
): (request: Request, reply: FastifyReplyLike) => Promise<FastifyReplyLike> {
  const issue = tokenIssuer(options)
  return async (request, reply) => {
    sendByFastify(reply, await issue(request))
    return reply
  }
}
