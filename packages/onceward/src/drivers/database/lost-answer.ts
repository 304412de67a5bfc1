import { isOncewardError, OncewardError } from '../../core/errors.ts'

/** What the network says of a connection that never was: nothing can have been sent over it. */
const NEVER_CONNECTED: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ER_CON_COUNT_ERROR',
])

/**
 * What is thrown where a write was sent and its answer was lost: the same error, whose `effect` says that it may have happened.
 *
 * @param failed - The error of ours that the driver's was translated to.
 */
export function answerLost(failed: unknown, where: string): unknown {
  if (!isOncewardError(failed) || failed.effect !== 'none' || failed.code !== 'STORE_UNAVAILABLE')
    return failed
  if (NEVER_CONNECTED.has((failed.cause as { code?: unknown } | undefined)?.code)) return failed
  return new OncewardError(
    'STORE_UNAVAILABLE',
    `${where}: the connection was lost while a write was under way, and what became of it is not known; ask again, or look`,
    { cause: failed.cause ?? failed, effect: 'unknown', retryAfterMs: 1000 },
  )
}
