import type { OnServerError } from './guard-options.ts'
import { EFFECT_FIELD, headerValue } from './response-headers.ts'
import type { CapturedResponse } from './types.ts'

/** What a response means for its operation: remembered, given back, or left for somebody to find out. */
export type ResponseVerdict = 'store' | 'release' | 'hold'

/** Refusals that say nothing about the operation itself: the same request may succeed later, or for another caller. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([401, 403, 408, 425, 429])

/**
 * Decides what a response means. `Onceward-Effect` of the handler settles it for failures (4xx, 5xx): `none` releases,
 * `done` stores, `unknown` holds. Without it 1xx to 4xx are stored, except 401, 403, 408, 425 and 429, which release;
 * 5xx follow `onServerError`. Success is always stored.
 */
export function verdictOnResponse(
  response: Pick<CapturedResponse, 'status' | 'headers'>,
  onServerError: OnServerError,
): ResponseVerdict {
  if (response.status < 400) return 'store'
  switch (headerValue(response.headers, EFFECT_FIELD)?.trim().toLowerCase()) {
    case 'none':
      return 'release'
    case 'done':
      return 'store'
    case 'unknown':
      return 'hold'
  }
  if (response.status >= 500) return onServerError
  return PASSING_STATUSES.has(response.status) ? 'release' : 'store'
}
