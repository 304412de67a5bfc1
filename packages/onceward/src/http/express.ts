import type { IncomingMessage, ServerResponse } from 'node:http'
import type { IdempotencyOptions } from './guard-options.ts'
import { sendNodeAnswer } from './node-capture.ts'
import { createNodeServe } from './node-serve.ts'
import type { NodeRequest } from './node-types.ts'
import { type IssueTokenOptions, tokenIssuer } from './token-issuer.ts'

export type { IdempotencyOptions } from './guard-options.ts'
export { operationOf } from './operation-of.ts'
export type { IssueTokenOptions } from './token-issuer.ts'

/** A middleware of Express 4 and 5. */
export type ExpressMiddleware<Request extends IncomingMessage> = (
  req: Request,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => void

/**
 * Makes requests with an `Idempotency-Key` take effect once, in Express 4 and 5.
 *
 * Mount it after authentication, so that nobody gets a replay who may not ask, and before or after body parsers.
 *
 * Limit: Express does not tell middleware what a handler threw. A handler whose failure did nothing says so by
 * `res.set('Onceward-Effect', 'none')`, else a 5xx follows `onServerError`.
 *
 * @throws `TypeError` for options that make no sense; `scope` is required.
 * @example
 * app.use(idempotency({ once, scope: (req: Request) => req.user?.id }))
 */
export function idempotency<Request extends IncomingMessage = IncomingMessage>(
  options: IdempotencyOptions<Request>,
): ExpressMiddleware<Request> {
  const { serve } = createNodeServe(options)
  return (req, res, next) => {
    const exchange = { req: req as NodeRequest, res, request: req, next: () => next() }
    Promise.resolve(serve(exchange)).catch(next)
  }
}

/**
 * Answers a request for a one-time token, which `idempotency({ tokens })` takes: see {@link IssueTokenOptions}. Mount it after
 * authentication.
 *
 * @throws `TypeError` for options that make no sense.
 * @example
 * app.post('/token', issueToken({ tokens, scope: (req: Request) => req.user?.id }))
 */

export function issueToken<Request extends IncomingMessage = IncomingMessage>(
  options: IssueTokenOptions<Request>,
): ExpressMiddleware<Request> {
  const issue = tokenIssuer(options)
  return (req, res, next) => {
    issue(req)
      .then((answer) => sendNodeAnswer(res, answer))
      .catch(next)
  }
}
