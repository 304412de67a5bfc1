import type { Effect } from './operation.ts'

/** What is fixed about a code. */
export interface ErrorEntry {
  /** The HTTP status that the middleware and the gateway answer with. */
  readonly status: number
  /** Whether the same call may succeed later without anybody's help. */
  readonly retryable: boolean
  /** Whether the effect of the operation may have happened, seen from the caller of this very call. */
  readonly effect: Effect
  /** What it means, for a person. */
  readonly summary: string
}

/** A code of {@link ERRORS}. */
export type ErrorCode =
  | 'KEY_MISSING'
  | 'KEY_INVALID'
  | 'REQUEST_INVALID'
  | 'SCOPE_MISSING'
  | 'BODY_TOO_LARGE'
  | 'KEY_REUSED'
  | 'TOKEN_REFUSED'
  | 'QUOTA_EXCEEDED'
  | 'IN_PROGRESS'
  | 'OUTCOME_UNKNOWN'
  | 'CLAIM_LOST'
  | 'OUTCOME_NOT_STORED'
  | 'OUTCOME_NOT_REPLAYABLE'
  | 'OPERATION_FAILED'
  | 'STORE_UNAVAILABLE'
  | 'STORE_FULL'
  | 'STORE_READ_ONLY'
  | 'STORE_CORRUPT'
  | 'STORE_MISCONFIGURED'
  | 'SCHEMA_MISSING'
  | 'SCHEMA_NEWER'
  | 'RECORD_CORRUPT'
  | 'REENTRANT'
  | 'LOCK_LOST'
  | 'LOCK_TIMEOUT'
  | 'COMMAND_REFUSED'
  | 'AMBIGUOUS_RESULT'
  | 'SIGNATURE_INVALID'
  | 'ABORTED'
  | 'CLOSED'

/** Every code an {@link OncewardError} can carry. `docs/errors.md` is this table. */
export const ERRORS: Readonly<Record<ErrorCode, ErrorEntry>> = {
  KEY_MISSING: {
    status: 400,
    retryable: false,
    effect: 'none',
    summary: 'This operation needs an idempotency key and was given none.',
  },
  KEY_INVALID: {
    status: 400,
    retryable: false,
    effect: 'none',
    summary: 'The idempotency key is malformed, repeated, empty or too long.',
  },
  REQUEST_INVALID: {
    status: 400,
    retryable: false,
    effect: 'none',
    summary: 'The request cannot be read, so its fingerprint cannot be taken.',
  },
  SCOPE_MISSING: {
    status: 401,
    retryable: false,
    effect: 'none',
    summary: 'The caller cannot be told from others, so the key has no scope.',
  },
  BODY_TOO_LARGE: {
    status: 413,
    retryable: false,
    effect: 'none',
    summary: 'The request body is larger than what is fingerprinted.',
  },
  KEY_REUSED: {
    status: 422,
    retryable: false,
    effect: 'none',
    summary: 'The key was first used with another input. The first operation is untouched.',
  },
  TOKEN_REFUSED: {
    status: 400,
    retryable: false,
    effect: 'none',
    summary: 'The one-time token is unknown, expired or used up.',
  },
  QUOTA_EXCEEDED: {
    status: 429,
    retryable: true,
    effect: 'none',
    summary: 'This scope has started too many new operations.',
  },
  IN_PROGRESS: {
    status: 409,
    retryable: true,
    effect: 'none',
    summary: 'Another caller is running this operation. Ask again for its outcome.',
  },
  OUTCOME_UNKNOWN: {
    status: 409,
    retryable: false,
    effect: 'unknown',
    summary:
      'The effect may have happened, and nobody can tell. A held operation is not rerun until somebody reconciles it.',
  },
  CLAIM_LOST: {
    status: 409,
    retryable: false,
    effect: 'unknown',
    summary: 'The claim was lost before the outcome was stored; another may have been given the operation.',
  },
  OUTCOME_NOT_STORED: {
    status: 503,
    retryable: false,
    effect: 'done',
    summary:
      'The work finished, but the store could not be reached to remember its outcome. `value` holds the result.',
  },
  OUTCOME_NOT_REPLAYABLE: {
    status: 409,
    retryable: false,
    effect: 'done',
    summary: 'The operation is done, but its value could not be stored and cannot be told again.',
  },
  OPERATION_FAILED: {
    status: 500,
    retryable: false,
    effect: 'none',
    summary: 'The operation ended in a final failure, which every duplicate gets too.',
  },
  STORE_UNAVAILABLE: {
    status: 503,
    retryable: true,
    effect: 'none',
    summary: 'The store could not be reached, so the work was not started.',
  },
  STORE_FULL: { status: 503, retryable: true, effect: 'none', summary: 'The store has no room left.' },
  STORE_READ_ONLY: {
    status: 503,
    retryable: false,
    effect: 'none',
    summary: 'The store cannot be written to.',
  },
  STORE_CORRUPT: {
    status: 500,
    retryable: false,
    effect: 'none',
    summary: 'What the store holds is damaged or is not its own.',
  },
  STORE_MISCONFIGURED: {
    status: 503,
    retryable: false,
    effect: 'none',
    summary: 'The store is set up so that it cannot be used, or would forget what it must remember.',
  },
  SCHEMA_MISSING: {
    status: 503,
    retryable: false,
    effect: 'none',
    summary: 'The store has no schema yet. Run its migration.',
  },
  SCHEMA_NEWER: {
    status: 503,
    retryable: false,
    effect: 'none',
    summary: 'The schema of the store is newer than this program. Upgrade the program.',
  },
  RECORD_CORRUPT: {
    status: 500,
    retryable: false,
    effect: 'done',
    summary: 'The stored outcome cannot be read. It is not rerun.',
  },
  REENTRANT: {
    status: 500,
    retryable: false,
    effect: 'none',
    summary: 'An operation called itself: its own key was run again inside its work.',
  },
  LOCK_LOST: {
    status: 409,
    retryable: false,
    effect: 'unknown',
    summary: 'The lock is not held any more; another may hold it. What was begun under it may have happened.',
  },
  LOCK_TIMEOUT: {
    status: 423,
    retryable: true,
    effect: 'none',
    summary: 'Others held the lock for as long as the caller was willing to wait.',
  },
  COMMAND_REFUSED: {
    status: 400,
    retryable: false,
    effect: 'none',
    summary: 'The server answered the command with an error: it was not executed.',
  },
  AMBIGUOUS_RESULT: {
    status: 503,
    retryable: false,
    effect: 'unknown',
    summary: 'The command was sent and its reply was lost: nobody can tell whether it was executed.',
  },
  SIGNATURE_INVALID: {
    status: 401,
    retryable: false,
    effect: 'none',
    summary: 'The webhook is not signed by who it says, or not lately.',
  },
  ABORTED: {
    status: 499,
    retryable: true,
    effect: 'none',
    summary: 'The caller stopped waiting before the operation was started for it.',
  },
  CLOSED: {
    status: 503,
    retryable: true,
    effect: 'none',
    summary: 'This instance was closed and starts nothing new.',
  },
}

/** What may be said beyond the code. */
export interface OncewardErrorOptions {
  /** What led to it; kept as `cause`. */
  readonly cause?: unknown
  /** Where this case knows more than the table. */
  readonly effect?: Effect
  /** After how many ms asking again makes sense. */
  readonly retryAfterMs?: number
  /** The result of the work, where it finished and could not be stored. */
  readonly value?: unknown
}

/**
 * The one error class. `effect` tells whether the effect may have happened, `retryable` whether the same call may
 * succeed later. Recognise it with {@link isOncewardError}, which also works across duplicate installs.
 */
export class OncewardError extends Error {
  override readonly name: string = 'OncewardError'
  readonly code: ErrorCode
  /** The HTTP status that fits. */
  readonly status: number
  readonly retryable: boolean
  readonly effect: Effect
  readonly retryAfterMs?: number
  readonly value?: unknown

  constructor(code: ErrorCode, message?: string, options: OncewardErrorOptions = {}) {
    super(message ?? ERRORS[code].summary, 'cause' in options ? { cause: options.cause } : {})
    this.code = code
    this.status = ERRORS[code].status
    this.retryable = ERRORS[code].retryable
    this.effect = options.effect ?? ERRORS[code].effect
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs
    // The result may be confidential: it is for the caller, not for whatever prints the error.
    if ('value' in options) Object.defineProperty(this, 'value', { value: options.value, enumerable: false })
    Object.defineProperty(this, BRAND, { value: true, enumerable: false })
  }
}

/** Tells whether `error` is an {@link OncewardError}, of this or another copy of the library, with `code` if given. */
export function isOncewardError(error: unknown, code?: ErrorCode): error is OncewardError {
  try {
    if (typeof error !== 'object' || error === null || !(BRAND in error)) return false
    return code === undefined || ('code' in error && error.code === code)
  } catch {
    // Anything can be thrown, even a proxy that cannot be looked at.
    return false
  }
}

/** Whether the same store would answer the same again: its error is final, or it was closed and is another one's to ask. */
export function isLasting(error: unknown): boolean {
  return isOncewardError(error) && (!error.retryable || error.code === 'CLOSED')
}

const BRAND = Symbol.for('onceward.error')
