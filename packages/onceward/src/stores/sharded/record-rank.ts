import type { OperationRecord, OperationState } from '../../core/operation.ts'

/**
 * Whether a record stands in the way of a claim elsewhere: everything but one that was given back without a finished
 * step, which says that nothing happened.
 */
export function isLive(record: OperationRecord): boolean {
  return record.state !== 'released' || record.steps.length > 0
}

/** What an operation *is* where several homes remember it: an outcome first, what was given back last. */
const RANKS: Readonly<Record<OperationState, number>> = { done: 0, running: 1, held: 2, released: 3 }

/** Sorts what says most about an operation first; among equals the latest claim. */
export function byRank(a: OperationRecord, b: OperationRecord): number {
  if (isLive(a) !== isLive(b)) return isLive(a) ? -1 : 1
  return RANKS[a.state] - RANKS[b.state] || b.fence - a.fence
}
