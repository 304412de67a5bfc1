import { verdictOn } from '../core/verdict.ts'
import type { IdempotencyOptions } from './guard-options.ts'
import { attachOperation } from './operation-of.ts'
import { type IssueTokenOptions, tokenIssuer } from './token-issuer.ts'
import { createWebServe, webResponse } from './web-serve.ts'

export type { IdempotencyOptions } from './guard-options.ts'
export { operationOf } from './operation-of.ts'
export type { IssueTokenOptions } from './token-issuer.ts'

/** What is used of Hono's context. */
export interface HonoContext {
  readonly req: {
    raw: Request
    arrayBuffer(): Promise<ArrayBuffer>
    header(name: string): string | undefined
  }
  res: Response
  readonly error: Error | undefined
}

/** A middleware of Hono. */
export type HonoMiddleware<Context extends HonoContext> = (
  c: Context,
  next: () => Promise<void>,
) => Promise<Response | undefined>

/**
 * Makes requests with an `Idempotency-Key` take effect once, in Hono.
 *
 * Mount it after authentication, so that nobody gets a replay who may not ask. A handler that throws `noEffect(error)`
 * releases; any other 5xx follows `onServerError`.
 *
 * @throws `TypeError` for options that make no sense; `scope` is required.
 * @example
 * app.use(idempotency({ once, scope: (c: Context<Env>) => c.get('user')?.id }))
 */
export function idempotency<Context extends HonoContext = HonoContext>(
  options: IdempotencyOptions<Context>,
): HonoMiddleware<Context> {
  const serve = createWebServe<Context>(options)
  return async (c, next) => {
    let ran = false
    const answer = serve({
      request: c.req.raw,
      subject: c,
      readBefore: () => c.req.arrayBuffer(),
      async run(fresh, op) {
        ran = true
        c.req.raw = fresh
        attachOperation(c, op)
        await next()
        return withEffectField(c)
      },
    })
    if (answer === undefined) {
      await next()
      return undefined
    }
    const response = await answer
    if (!ran)
      return response
      // Assigning would merge the fields of the handler's response into its own copy.
    ;(c as { res: Response | undefined }).res = undefined
    c.res = response
    return undefined
  }
}

/** Hono answers what a handler throws; the mark on the error (`noEffect`, `finalFailure`) counts for that answer. */
function withEffectField(c: HonoContext): Response {
  const verdict = c.error && verdictOn(c.error)
  if (!verdict || c.res.headers.has('Onceward-Effect')) return c.res
  const response = new Response(c.res.body, c.res)
  response.headers.set('Onceward-Effect', verdict.kind === 'no-effect' ? 'none' : 'done')
  return response
}

/**
 * Answers a request for a one-time token, which `idempotency({ tokens })` takes: see {@link IssueTokenOptions}. Mount it after
 * authentication.
 *
 * @throws `TypeError` for options that make no sense.
 * @example
 * app.post('/token', issueToken({ tokens, scope: (c: Context<Env>) => c.get('user')?.id }))
 */

export function issueToken<Context extends HonoContext = HonoContext>(
  options: IssueTokenOptions<Context>,
): (c: Context) => Promise<Response> {
  const issue = tokenIssuer(options)
  return async (c) => webResponse(await issue(c))
}
