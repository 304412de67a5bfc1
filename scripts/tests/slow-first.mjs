import { BaseSequencer } from 'vitest/node'

/**
 * Files that take longest are begun first, so that none of them runs alone at the end. Vitest knows durations only where it has run
 * before, and sizes say little: a binding of a suite is a few lines.
 */
const SLOW = [
  /mysql-store\.conformance/,
  /verify\/.*\.test\.ts$/,
  /composed\.conformance/,
  /test\/(?:tasks|outbox|tokens|sql-guards|dedupe|databases|inbox)\//,
  /\.conformance\.test\.ts$/,
  /several-gateways|servers\.test|faults/,
]

/** Sorts test files so that the slow ones come first. */
export default class SlowFirst extends BaseSequencer {
  /** @param {import('vitest/node').TestSpecification[]} files */
  async sort(files) {
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => rank(a.moduleId) - rank(b.moduleId))
  }
}

function rank(/** @type {string} */ file) {
  const found = SLOW.findIndex((pattern) => pattern.test(file))
  return found === -1 ? SLOW.length : found
}
