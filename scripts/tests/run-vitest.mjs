import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { CACHE, ROOT } from '../house/paths.mjs'
import { runTool } from '../house/run.mjs'
import { rowsOfTests } from './tally.mjs'

/** Longer than any honest run; a run that hangs is a failure, not a wait. */
const MOST_MS = 30 * 60_000

/**
 * Runs every vitest test. Whatever way the run goes wrong (a crash, a hang, no tests, an error outside a test),
 * at least one row says failed.
 *
 * @param {{ env: NodeJS.ProcessEnv, args?: readonly string[], cwd?: string, node?: string }} options
 *   `args` are which tests, `node` which Node runs them; `cwd` is for the test of this very function.
 * @returns {Promise<import('./tally.mjs').Row[]>}
 */
export async function runVitest({ env, args = [], cwd = ROOT, node = process.execPath }) {
  mkdirSync(CACHE, { recursive: true })
  const file = join(CACHE, `test-results.${process.pid}.json`)
  rmSync(file, { force: true })
  const started = performance.now()
  const { code, output } = await runTool(
    'vitest',
    [
      'run',
      '--allowOnly=false',
      '--passWithNoTests=false',
      '--reporter=default',
      `--reporter=${join(ROOT, 'scripts/tests/vitest-reporter.mjs')}`,
      ...args,
    ],
    { cwd, node, env: { ...env, ONCEWARD_TEST_RESULTS: file }, show: args.length === 0, timeoutMs: MOST_MS },
  )
  const ms = Math.round(performance.now() - started)
  if (code !== 0 && args.length > 0 && cwd === ROOT) console.log(output)
  const results = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
  rmSync(file, { force: true })
  const failed = (/** @type {string} */ note) => ({
    part: 'vitest',
    passed: 0,
    failed: 1,
    skips: [],
    ms,
    note,
  })
  if (results === undefined)
    return [failed(`ended with code ${code} and left no results ${lastLine(output)}`)]
  const rows = rowsOfTests(results)
  const [ran, red] = ['passed', 'failed'].map((key) =>
    rows.reduce((sum, row) => sum + row[/** @type {'passed'} */ (key)], 0),
  )
  if (ran === 0 && red === 0) return [...rows, failed('no test ran')]
  if (red === 0 && (code !== 0 || results.reason !== 'passed')) {
    return [...rows, failed(`ended with code ${code} (${results.reason}) though no test failed`)]
  }
  return rows.map((row, index) => (index === 0 ? { ...row, ms, note: 'time of all tests' } : row))
}

function lastLine(/** @type {string} */ output) {
  return output.trim().split('\n').at(-1) ?? ''
}
