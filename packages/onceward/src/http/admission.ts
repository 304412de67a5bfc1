import { ERRORS, type ErrorCode, OncewardError } from '../core/errors.ts'
import type { GuardSettings } from './guard-settings.ts'
import { readIdempotencyKey } from './idempotency-key.ts'
import { essentialMediaType } from './media-type.ts'
import { normalizeTarget } from './normalize-target.ts'
import { readPreferWait } from './prefer.ts'
import { NO_TOKEN } from './presented-token.ts'
import { problemAnswer } from './problem.ts'
import { GUARDED_METHODS } from './request-identity.ts'
import { headerValue } from './response-headers.ts'
import type { Admission, RequestHead } from './types.ts'

/** Makes the decision on the head of a request: pure, and the same for every adapter and the gateway. */
export function admitter(settings: GuardSettings): (head: RequestHead) => Admission {
  const { deriveKey, tokens, tokenFrom, requireKey, waitMs, maxBodyBytes } = settings
  const readLater = deriveKey !== undefined || tokenFrom !== undefined
  return (head) => {
    if (!GUARDED_METHODS.includes(head.method)) return { kind: 'pass' }
    const reading = readLater ? ({ kind: 'derived' } as const) : readIdempotencyKey(head.headers)
    if (reading.kind === 'invalid') return refuse('KEY_INVALID', `Idempotency-Key: ${reading.why}.`)
    if (reading.kind === 'absent') {
      return requireKey
        ? refuse('KEY_MISSING', tokens ? NO_TOKEN : 'Send an Idempotency-Key field with this request.')
        : { kind: 'pass' }
    }
    const target = normalizeTarget(head.target)
    if (target === undefined) return refuse('REQUEST_INVALID', 'The path of the request is malformed.')
    if (Number(headerValue(head.headers, 'content-length') ?? 0) > maxBodyBytes)
      return refuse('BODY_TOO_LARGE', tooLarge(maxBodyBytes))
    return {
      kind: 'keyed',
      request: {
        method: head.method,
        ...target,
        mediaType: essentialMediaType(headerValue(head.headers, 'content-type')),
        ...(reading.kind === 'key' ? { key: reading.key, echo: reading.echo } : {}),
        waitMs: Math.min(readPreferWait(head.headers) ?? waitMs, waitMs),
        headers: head.headers,
      },
    }
  }
}

/** What a client is told whose body exceeds the cap. */
export function tooLarge(maxBodyBytes: number): string {
  return `The body of a request with an idempotency key may have at most ${maxBodyBytes} bytes here.`
}

function refuse(code: ErrorCode, detail: string): Admission {
  return {
    kind: 'refuse',
    answer: problemAnswer(new OncewardError(code, detail), { summary: ERRORS[code].summary }),
  }
}
