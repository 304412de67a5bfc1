import { type ErrorCode, OncewardError } from './errors.ts'

/** How soon a server that cannot be reached may be asked again, in ms. */
const RETRY_AFTER_MS = 1000

/** What a driver throws where no effect was left behind: at most a record may have been written. */
export function failure(code: ErrorCode, message: string, cause?: unknown): OncewardError {
  return new OncewardError(code, message, {
    effect: 'none',
    ...(cause === undefined ? {} : { cause }),
    ...(code === 'STORE_UNAVAILABLE' ? { retryAfterMs: RETRY_AFTER_MS } : {}),
  })
}
