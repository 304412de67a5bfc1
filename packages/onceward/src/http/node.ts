import type { IncomingMessage, ServerResponse } from 'node:http'
import { OncewardError } from '../core/errors.ts'
import type { IdempotencyOptions } from './guard-options.ts'
import { sendNodeAnswer } from './node-capture.ts'
import { createNodeServe } from './node-serve.ts'
import type { NodeRequest } from './node-types.ts'
import { problemAnswer } from './problem.ts'
import { type IssueTokenOptions, tokenIssuer } from './token-issuer.ts'

export type { IdempotencyOptions } from './guard-options.ts'
export { operationOf } from './operation-of.ts'
export type { IssueTokenOptions } from './token-issuer.ts'

/** A handler of `node:http`. It may answer a promise: a rejection counts as a throw. */
export type NodeHandler = (req: IncomingMessage, res: ServerResponse) => unknown

/** Guards a handler of `node:http`, or stands before one as Connect-style middleware. */
export interface NodeMiddleware {
  (handler: NodeHandler): (req: IncomingMessage, res: ServerResponse) => void
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => unknown): void
}

/**
 * Makes requests with an `Idempotency-Key` take effect once, on plain `node:http`.
 *
 * A handler that throws, or rejects, without having answered gets a 500 problem document; `noEffect(error)` releases.
 *
 * @throws `TypeError` for options that make no sense; `scope` is required.
 * @example
 * const once = createOnce({ store, scope: 'payments' })
 * createServer(idempotency({ once, scope: 'public' })((req, res) => res.end('paid'))).listen(3000)
 */
export function idempotency(options: IdempotencyOptions<IncomingMessage>): NodeMiddleware {
  const { serve } = createNodeServe(options)
  const guard = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => unknown): void => {
    const exchange = { req: req as NodeRequest, res, request: req, next: () => next() }
    Promise.resolve(serve(exchange)).catch(next)
  }
  return ((first: NodeHandler | IncomingMessage, res?: ServerResponse, next?: () => unknown) => {
    if (typeof first !== 'function') return guard(first, res as ServerResponse, next ?? (() => {}))
    return (req: IncomingMessage, res: ServerResponse) => {
      guard(req, res, (error) => (error === undefined ? first(req, res) : broken(res, error)))
    }
  }) as NodeMiddleware
}

/** The guard itself cannot do its work (a scope that throws, a body that is gone): say so to the operator, not to the client. */
function broken(res: ServerResponse, error: unknown): void {
  process.emitWarning(messageOf(error), 'OncewardWarning')
  if (res.headersSent || res.destroyed) return void res.destroy()
  const failed = new OncewardError('OPERATION_FAILED', undefined, { effect: 'none' })
  sendNodeAnswer(
    res,
    problemAnswer(failed, { summary: 'The request could not be guarded; nothing was run.' }),
  )
}

function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error)
  } catch {
    return 'the guard was stopped by something that cannot be printed'
  }
}

/**
 * Answers a request for a one-time token, which `idempotency({ tokens })` takes: see {@link IssueTokenOptions}. Check who
 * asks before it.
 *
 * @throws `TypeError` for options that make no sense.
 * @example
 * createServer(issueToken({ tokens, scope: (req) => userOf(req) })).listen(3001)
 */

export function issueToken(
  options: IssueTokenOptions<IncomingMessage>,
): (req: IncomingMessage, res: ServerResponse) => void {
  const issue = tokenIssuer(options)
  return (req, res) => {
    issue(req)
      .then((answer) => sendNodeAnswer(res, answer))
      .catch((error) => broken(res, error))
  }
}
