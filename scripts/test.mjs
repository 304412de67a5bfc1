// npm test: installs and builds what is missing, then runs every gate, every test and the smoke tests on each Node.
// The last line is "N passed, N failed". `--require-all` makes a failure of whatever cannot run here.
import { ensureBuilt } from './house/build.mjs'
import { ensureInstalled } from './house/install.mjs'
import { closingLine, remarks, sumUp, table } from './tests/tally.mjs'

const requireAll = process.argv.includes('--require-all')
const env = { ...process.env, ...(requireAll ? { ONCEWARD_REQUIRE_ALL: '1' } : {}) }

/** @type {import('./tests/tally.mjs').Row[]} */
const rows = []

await part('install', ensureInstalled)
// Nothing can be said about packages that do not build.
if (rows.length === 0) await part('build', ensureBuilt)
if (rows.length === 0) {
  const { fetchNodes, runNodeLanes } = await import('./tests/node-lanes.mjs')
  const nodes = fetchNodes()
  await part('gates', async () => (await import('./tests/run-gates.mjs')).runGates())
  await part('vitest', async () => (await import('./tests/run-vitest.mjs')).runVitest({ env }))
  await part('smoke tests', () => runNodeLanes({ env, nodes }))
}

const sum = sumUp(rows, { requireAll })
console.log(`\n${table(rows)}\n`)
for (const remark of remarks(rows, sum)) console.log(remark)
console.log(`\n${closingLine(sum)}`)
process.exitCode = sum.failed === 0 && sum.passed > 0 ? 0 : 1

/**
 * Runs one part. A part that throws has failed; a part that answers no rows where rows are due has failed too.
 *
 * @param {string} name
 * @param {() => Promise<import('./tests/tally.mjs').Row[] | void>} work
 */
async function part(name, work) {
  try {
    const found = await work()
    if (found === undefined) return
    rows.push(...(found.length > 0 ? found : [failed(name, 'nothing ran')]))
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    rows.push(failed(name, 'see above'))
  }
}

/** @param {string} name @param {string} note @returns {import('./tests/tally.mjs').Row} */
function failed(name, note) {
  return { part: name, passed: 0, failed: 1, skips: [], ms: 0, note }
}
