import type { IdempotencyOptions } from './guard-options.ts'
import { type IssueTokenOptions, tokenIssuer } from './token-issuer.ts'
import { createWebServe, webResponse } from './web-serve.ts'

export type { IdempotencyOptions } from './guard-options.ts'
export { operationOf } from './operation-of.ts'
export type { IssueTokenOptions } from './token-issuer.ts'

/** A Web-standard handler: a Next.js route handler, `Bun.serve`, `Deno.serve`, a service worker. */
export type FetchHandler<Rest extends readonly unknown[], R extends Request = Request> = (
  request: R,
  ...rest: Rest
) => Response | Promise<Response>

/** Wraps a handler. What follows the request (Next.js: the route's parameters) is handed on. */
export type FetchMiddleware = <Rest extends readonly unknown[], R extends Request = Request>(
  handler: FetchHandler<Rest, R>,
) => (request: R, ...rest: Rest) => Promise<Response>

/**
 * Makes requests with an `Idempotency-Key` take effect once, before a Web-standard `fetch` handler.
 *
 * Check who asks before calling the wrapped handler, so that nobody gets a replay who may not ask. A handler that
 * throws rejects to its caller as ever; `noEffect(error)` releases, any other throw follows `onServerError`.
 *
 * @throws `TypeError` for options that make no sense; `scope` is required.
 * @example
 * export const POST = idempotency({ once, scope: (request) => userOf(request) })(async (request) => Response.json(await pay(request)))
 */
export function idempotency<R extends Request = Request>(options: IdempotencyOptions<R>): FetchMiddleware {
  const serve = createWebServe<R>(options)
  return (handler) =>
    async (request, ...rest) => {
      const exchange = {
        request,
        subject: request as unknown as R,
        run: async (fresh: Request) => handler(fresh as typeof request, ...rest),
      }
      return (await serve(exchange)) ?? handler(request, ...rest)
    }
}

/**
 * Answers a request for a one-time token, which `idempotency({ tokens })` takes: see {@link IssueTokenOptions}. Check who
 * asks before it.
 *
 * @throws `TypeError` for options that make no sense.
 * @example
 * export const POST = issueToken({ tokens, scope: (request) => userOf(request) })
 */

export function issueToken<R extends Request = Request>(
  options: IssueTokenOptions<R>,
): (request: R) => Promise<Response> {
  const issue = tokenIssuer(options)
  return async (request) => webResponse(await issue(request))
}
