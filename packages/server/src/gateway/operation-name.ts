import type { OperationId } from 'onceward'
import { NAMESPACE } from './namespace.ts'

/** The parts of an operation key that the HTTP layer has made. */
export interface OperationName {
  readonly method: string
  readonly path: string
  /** The idempotency key itself. */
  readonly key: string
}

/**
 * Reads the key of an operation as the HTTP layer writes it: `METHOD path key`.
 *
 * Answers nothing for operations made by a call of the library, and for keys so long that the layer has replaced path
 * and key by their digest: neither can be asked about over HTTP.
 */
export function operationName(key: string): OperationName | undefined {
  const parts = /^(POST|PATCH|PUT|DELETE) (\/[^ ]*) (.+)$/su.exec(key)
  if (parts?.[1] === undefined || parts[2] === undefined || parts[3] === undefined) return undefined
  return { method: parts[1], path: parts[2], key: parts[3] }
}

/**
 * Whether the HTTP layer has made this operation, so that its outcome is a stored response and not a plain value.
 * Judged by the form of the key alone: a library caller would have to name its key `POST /…` to be mistaken.
 */
export function isHttpOperation({ scope, key }: Pick<OperationId, 'scope' | 'key'>): boolean {
  if (isTokenUse(key)) return scope.startsWith(`${NAMESPACE.length}:${NAMESPACE}/`)
  return operationName(key) !== undefined || /^(?:POST|PATCH|PUT|DELETE) sha256:[A-Za-z0-9_-]{43}$/.test(key)
}

/** Whether this is the use of a one-time token: a request at the gateway; elsewhere a request or a call of the library. */
export function isTokenUse(key: string): boolean {
  return /^token [A-Za-z0-9_-]{43}$/.test(key)
}
