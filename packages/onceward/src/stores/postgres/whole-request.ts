import type { ClaimRequest } from '../../core/store.ts'

/** The longest time that is stored, in ms: added to any time of today it stays a whole number that is safe. */
const MAX_MS = 2 ** 51

/** A duration as the columns hold it: whole ms, never shorter than asked. */
export function wholeMs(ms: number): number {
  return Math.min(Math.ceil(ms), MAX_MS)
}

/** A request with durations that the columns hold. */
export function wholeRequest(request: ClaimRequest): ClaimRequest {
  const leaseMs = wholeMs(request.leaseMs)
  const retentionMs = wholeMs(request.retentionMs)
  return leaseMs === request.leaseMs && retentionMs === request.retentionMs
    ? request
    : { ...request, leaseMs, retentionMs }
}
