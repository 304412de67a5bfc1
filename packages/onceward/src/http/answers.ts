import { ERRORS, type OncewardError } from '../core/errors.ts'
import type { OperationId } from '../core/operation.ts'
import { problemAnswer } from './problem.ts'
import { outwardHeaders, unframedHeaders } from './response-headers.ts'
import type { CapturedResponse, HeaderPairs, KeyedRequest, SendAnswer } from './types.ts'

/** The answer of a request that ran its handler: everything the handler said, the key echoed, and `extra`. */
export function executedAnswer(
  request: KeyedRequest,
  response: CapturedResponse,
  operation: OperationId,
  extra: HeaderPairs,
): SendAnswer {
  const headers = [...unframedHeaders(outwardHeaders(response.headers)), ...echoOf(request), ...extra]
  return { kind: 'send', status: response.status, headers, body: response.body, from: 'executed', operation }
}

/** The answer of a duplicate: what is stored, marked as a replay and not to be cached. */
export function replayedAnswer(
  request: KeyedRequest,
  response: CapturedResponse,
  operation: OperationId,
  extra: HeaderPairs,
): SendAnswer {
  const headers = [
    ...response.headers,
    ['Idempotent-Replayed', 'true'] as const,
    ['Cache-Control', 'no-store'] as const,
    ...echoOf(request),
    ...extra,
  ]
  return { kind: 'send', status: response.status, headers, body: response.body, from: 'replayed', operation }
}

/** The answer of a request that got no response of a handler. */
export function problemFor(request: KeyedRequest, error: OncewardError, operation?: OperationId): SendAnswer {
  return problemAnswer(error, {
    summary: ERRORS[error.code].summary,
    headers: echoOf(request),
    ...(operation ? { operation } : {}),
  })
}

/** The field that repeats the key to the client, as it was sent. */
export function echoOf({ echo }: KeyedRequest): HeaderPairs {
  return echo === undefined ? [] : [['Idempotency-Key', echo]]
}

/** The field that tells until when the response is remembered: an HTTP date (RFC 9110 section 5.6.7). */
export function expiryOf(now: number, expiresInMs: number): HeaderPairs {
  return [['Idempotency-Expires', new Date(now + expiresInMs).toUTCString()]]
}
