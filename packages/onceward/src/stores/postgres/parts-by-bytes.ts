import type { Outcome } from '../../core/operation.ts'

/** The most bytes of values in one statement; a single value may be larger. */
const MAX_BYTES = 4 * 1024 * 1024

/** Cuts a batch into parts that are not too large for one statement, in their order. */
export function inParts<One>(batch: readonly One[], size: (one: One) => number): One[][] {
  const parts: One[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const one of batch) {
    const more = size(one)
    if (bytes + more > MAX_BYTES) {
      parts.push([])
      bytes = 0
    }
    parts.at(-1)?.push(one)
    bytes += more
  }
  return parts
}

/** How many bytes an outcome takes, about. */
export function sizeOf(outcome: Outcome): number {
  if (outcome.kind === 'value') return outcome.value.length
  return outcome.kind === 'unreplayable' ? (outcome.note?.length ?? 0) : outcome.failure.message.length
}
