import type { Operation } from '../core/once-types.ts'

const OPERATION = Symbol.for('onceward.operation')

/**
 * The operation that a guarded request runs, for its fence, its attempt and its downstream keys.
 *
 * @param request - What the handler was given: the request of Express, Fastify, Nest and node:http, the context of Koa
 * and Hono, the `Request` of a fetch handler.
 * @returns `undefined` for a request that is not guarded, or while the guard fails open.
 */
export function operationOf(request: object): Operation | undefined {
  return (request as { [OPERATION]?: Operation })[OPERATION]
}

/** Lets {@link operationOf} find the operation. */
export function attachOperation(request: object, op: Operation | undefined): void {
  if (op) Object.defineProperty(request, OPERATION, { value: op, configurable: true })
}
