/** @typedef {import('./measure.mjs').Hold} Hold */

/**
 * Looks whether two callers held one key at the same time, and whether its fences increased with its holders.
 *
 * @param {readonly Hold[]} holds Of all processes.
 * @returns {{ overlaps: number, staleFences: number }}
 */
export function judge(holds) {
  const sorted = [...holds].sort((left, right) => left.start - right.start)
  let overlaps = 0
  let staleFences = 0
  let latest = Number.NEGATIVE_INFINITY
  let fence = Number.NEGATIVE_INFINITY
  for (const hold of sorted) {
    if (hold.start < latest) overlaps += 1
    latest = Math.max(latest, hold.end)
    if (hold.fence === undefined) continue
    if (hold.fence <= fence) staleFences += 1
    fence = Math.max(fence, hold.fence)
  }
  return { overlaps, staleFences }
}
