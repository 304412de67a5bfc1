/** @param {readonly number[]} values @returns {number} */
export function median(values) {
  return quantile([...values].sort(ascending), 0.5)
}

/** A quantile of values that are sorted already. @param {ArrayLike<number>} sorted @param {number} part @returns {number} */
export function quantile(sorted, part) {
  if (sorted.length === 0) return Number.NaN
  const place = (sorted.length - 1) * part
  const low = sorted[Math.floor(place)] ?? Number.NaN
  const high = sorted[Math.ceil(place)] ?? Number.NaN
  return low + (high - low) * (place % 1)
}

/** @param {number} left @param {number} right */
export function ascending(left, right) {
  return left - right
}

/** Writes a median with its range: `1,234 (1,100–1,300)`. @param {readonly number[]} values @param {number} [digits] */
export function withRange(values, digits = 0) {
  const text = (/** @type {number} */ value) => number(value, digits)
  return `${text(median(values))} (${text(Math.min(...values))}–${text(Math.max(...values))})`
}

/** @param {number} value @param {number} [digits] */
export function number(value, digits = 0) {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/**
 * The median of the ratios within each round: what slows a whole round down slows both sides of its ratio.
 *
 * @param {readonly number[]} values
 * @param {readonly number[]} floor
 */
export function pairedRatio(values, floor) {
  return median(values.map((value, round) => value / (floor[round] ?? Number.NaN)))
}
