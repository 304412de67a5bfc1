import type { IncomingMessage, ServerResponse } from 'node:http'
import type { IdempotencyOptions } from './guard-options.ts'
import { createNodeServe } from './node-serve.ts'
import type { NodeRequest } from './node-types.ts'

export type { IdempotencyOptions } from './guard-options.ts'
export { operationOf } from './operation-of.ts'

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
