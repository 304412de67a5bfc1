import type { ErrorCode, OncewardError } from '../core/errors.ts'
import type { Effect, OperationId } from '../core/operation.ts'
import type { HeaderPairs, OversizeResponse, SendAnswer } from './types.ts'

/** A problem document (RFC 9457) as the guard sends it. */
export interface ProblemDocument {
  /** `urn:onceward:problem:` and the code. It never changes. */
  readonly type: string
  readonly title: string
  /** The status of this answer; for `response-not-replayable` that of the original response. */
  readonly status: number
  readonly detail: string
  readonly code: string
  /** Whether the same request may succeed later without anybody's help. */
  readonly retryable: boolean
  /** Whether the effect of the operation may have happened. */
  readonly effect: Effect
  /** `Location` of the original response, for `response-not-replayable`. */
  readonly location?: string
}

/** The code of a problem: that of the error in kebab case, and `response-not-replayable` for the one whose value is a response. */
export function problemCode(code: ErrorCode): string {
  return code === 'OUTCOME_NOT_REPLAYABLE'
    ? 'response-not-replayable'
    : code.toLowerCase().replaceAll('_', '-')
}

const TITLES: Readonly<Partial<Record<ErrorCode, string>>> = {
  KEY_MISSING: 'Idempotency key missing',
  KEY_INVALID: 'Idempotency key invalid',
  REQUEST_INVALID: 'Request cannot be read',
  SCOPE_MISSING: 'Caller unknown',
  BODY_TOO_LARGE: 'Request body too large',
  KEY_REUSED: 'Idempotency key reused',
  TOKEN_REFUSED: 'One-time token refused',
  QUOTA_EXCEEDED: 'Too many new operations',
  IN_PROGRESS: 'Operation in progress',
  OUTCOME_UNKNOWN: 'Outcome unknown',
  CLAIM_LOST: 'Claim lost',
  OUTCOME_NOT_STORED: 'Outcome not stored',
  OUTCOME_NOT_REPLAYABLE: 'Response cannot be replayed',
  OPERATION_FAILED: 'Operation failed',
}

/** Codes whose messages are written for callers; of any other error only the summary leaves. */
const OPEN_DETAILS: ReadonlySet<ErrorCode> = new Set([
  'KEY_MISSING',
  'KEY_INVALID',
  'REQUEST_INVALID',
  'SCOPE_MISSING',
  'BODY_TOO_LARGE',
  'TOKEN_REFUSED',
  'QUOTA_EXCEEDED',
])

/** What a problem answer may say besides its error. */
export interface ProblemExtras {
  readonly summary: string
  readonly operation?: OperationId
  /** Further response fields. */
  readonly headers?: HeaderPairs
  /** Another status than that of the error. */
  readonly status?: number
}

/** Writes the answer for an error: problem document, `Cache-Control: no-store`, and `Retry-After` where a retry helps. */
export function problemAnswer(error: OncewardError, extras: ProblemExtras): SendAnswer {
  const code = problemCode(error.code)
  const original = error.code === 'OUTCOME_NOT_REPLAYABLE' ? oversizeOf(error.value) : undefined
  const status = extras.status ?? error.status
  const problem: ProblemDocument = {
    type: `urn:onceward:problem:${code}`,
    title: TITLES[error.code] ?? 'Service unavailable',
    status: original?.status ?? status,
    detail: OPEN_DETAILS.has(error.code) ? error.message : extras.summary,
    code,
    retryable: error.retryable,
    effect: error.effect,
    ...(original?.location === undefined ? {} : { location: original.location }),
  }
  const retryAfter = error.retryable
    ? [['Retry-After', `${retryAfterSeconds(error.retryAfterMs)}`] as const]
    : []
  return {
    kind: 'send',
    status,
    headers: [
      ['Content-Type', 'application/problem+json'],
      ['Cache-Control', 'no-store'],
      ...retryAfter,
      ...(extras.headers ?? []),
    ],
    body: Buffer.from(JSON.stringify(problem)),
    from: 'refused',
    code,
    ...(extras.operation ? { operation: extras.operation } : {}),
  }
}

/** Whole seconds, rounded up, at least one (RFC 9110 section 10.2.3). */
function retryAfterSeconds(ms: number | undefined): number {
  return Math.max(1, Math.ceil((ms ?? 1000) / 1000))
}

function oversizeOf(value: unknown): OversizeResponse | undefined {
  return typeof value === 'object' && value !== null && 'tooLarge' in value
    ? (value as OversizeResponse)
    : undefined
}
