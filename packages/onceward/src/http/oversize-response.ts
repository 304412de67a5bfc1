import { headerValue } from './response-headers.ts'
import type { HeaderPairs, OversizeResponse } from './types.ts'

/** What is remembered of a response that is too large to be stored: its status, and its `Location` if it has one. */
export function oversizeResponse(status: number, headers: HeaderPairs): OversizeResponse {
  const location = headerValue(headers, 'location')
  return { tooLarge: true, status, ...(location === undefined ? {} : { location }) }
}
