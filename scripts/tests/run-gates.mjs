import { judge } from '../gates/gate.mjs'
import { GATES } from '../gates/index.mjs'
import { ROOT } from '../house/paths.mjs'

/**
 * Runs all gates and prints what they object to.
 *
 * @returns {Promise<import('./tally.mjs').Row[]>}
 */
export async function runGates() {
  const rows = []
  for (const gate of GATES) {
    const { problems, skipped, note, ms } = await judge(gate, ROOT)
    const part = `gate ${gate.name}`
    if (problems.length > 0)
      console.log(`\n${part} (${gate.guards}) says:\n${problems.map(indent).join('\n')}\n`)
    const passed = problems.length === 0 && skipped === undefined
    rows.push({
      part,
      passed: passed ? 1 : 0,
      failed: problems.length > 0 ? 1 : 0,
      skips: skipped !== undefined && problems.length === 0 ? [{ name: part, reason: skipped }] : [],
      ms,
      ...(note === undefined ? {} : { note }),
    })
  }
  return rows
}

function indent(/** @type {string} */ text) {
  return text.replace(/^/gm, '  ')
}
