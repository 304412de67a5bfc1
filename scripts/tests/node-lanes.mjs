import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { exclusively } from '../house/exclusive.mjs'
import { CACHE, ROOT } from '../house/paths.mjs'
import { run, runNpm } from '../house/run.mjs'
import { runVitest } from './run-vitest.mjs'
import { totalsOfTap } from './tally.mjs'

/**
 * Runs the smoke tests of the built packages on this Node and on each pinned one.
 * The tests use `node --test` alone, so that they need nothing that an older or newer Node might lack.
 *
 * @param {{ env: NodeJS.ProcessEnv, nodes: ReturnType<typeof fetchNodes> }} options
 * @returns {Promise<import('./tally.mjs').Row[]>}
 */
export async function runNodeLanes({ env, nodes }) {
  const files = smokeFiles()
  if (files.length === 0) return [row('smoke tests', { failed: 1, note: 'there are none' })]
  const rows = [await smoke(`smoke on Node ${process.versions.node}`, process.execPath, files, env)]
  for (const { version, fetched } of nodes) {
    const part = `smoke on Node ${version}`
    const started = performance.now()
    const node = await fetched
    if ('skipped' in node) rows.push(row(part, { skips: [{ name: part, reason: node.skipped }] }))
    else if ('problem' in node) rows.push(row(part, { failed: 1, note: node.problem }))
    else {
      rows.push(await smoke(part, node.path, files, env, started))
      if (version.startsWith('22.'))
        rows.push(await sqliteSuites(`SQLite suites on Node ${version}`, node.path, env))
    }
  }
  return rows
}

/**
 * Runs the suites of the SQLite store where drivers can be loaded that this Node may not have: better-sqlite3 and the
 * built-in one.
 *
 * @param {string} part
 * @param {string} node
 * @param {NodeJS.ProcessEnv} env
 */
async function sqliteSuites(part, node, env) {
  const args = ['packages/onceward/src/stores/sqlite', 'packages/onceward/test/sqlite']
  const rows = await runVitest({ env, args, node })
  const sum = (/** @type {'passed' | 'failed' | 'ms'} */ key) =>
    rows.reduce((total, each) => total + each[key], 0)
  const skips = rows.flatMap((each) => each.skips)
  return row(part, { passed: sum('passed'), failed: sum('failed'), ms: sum('ms'), skips })
}

function smokeFiles() {
  return ['onceward', 'server'].flatMap((name) => {
    const folder = join(ROOT, 'packages', name, 'test', 'smoke')
    if (!existsSync(folder)) return []
    return readdirSync(folder)
      .filter((file) => file.endsWith('.test.mjs'))
      .map((file) => join(folder, file))
  })
}

/**
 * @param {string} part
 * @param {string} node
 * @param {readonly string[]} files
 * @param {NodeJS.ProcessEnv} env
 */
async function smoke(part, node, files, env, started = performance.now()) {
  const { NODE_OPTIONS: _, ...plain } = env
  const { code, output } = await run(
    node,
    ['--disable-warning=ExperimentalWarning', '--test', '--test-reporter=tap', ...files],
    { env: plain, timeoutMs: 180_000 },
  )
  const ms = Math.round(performance.now() - started)
  const totals = totalsOfTap(output)
  if (totals === undefined)
    return row(part, { failed: 1, ms, note: `broke off: ${output.trim().split('\n').at(-1)}` })
  const { passed, skipped } = totals
  // A run that ends badly or in which nothing ran is a failure even where no test says so.
  const failed = totals.failed > 0 ? totals.failed : code !== 0 || passed === 0 ? 1 : 0
  if (failed > 0) console.log(output)
  const skips = [...output.matchAll(/^\s*ok \d+ - (.*?) # SKIP ?(.*)$/gm)].map(
    ([, name = '', reason = '']) => ({
      name: `${part}: ${name}`,
      reason: reason || 'no reason given',
    }),
  )
  if (skips.length !== skipped) skips.length = 0
  return row(part, { passed, failed, ms, skips })
}

/** @param {Partial<import('./tally.mjs').Row>} given @param {string} part */
function row(part, given) {
  return { part, passed: 0, failed: 0, skips: [], ms: 0, ...given }
}

/**
 * Begins to fetch the pinned Node releases. On a slow line that takes minutes, so it runs beside the tests.
 *
 * @returns {{ version: string, fetched: ReturnType<typeof fetchNode> }[]}
 */
export function fetchNodes() {
  return pinned().map(({ version, integrity }) => ({
    version,
    fetched: fetchNode(version, integrity).catch((error) => ({ problem: `Node ${version}: ${error}` })),
  }))
}

/** The Node releases we test on beside the one that runs us, with the digest of their archive for this machine. */
function pinned() {
  const text = readFileSync(join(ROOT, 'scripts/tests/node-versions.json'), 'utf8')
  const table = /** @type {Record<string, Record<string, string>>} */ (JSON.parse(text))
  return Object.entries(table).map(([version, digests]) => ({
    version,
    integrity: digests[`${process.platform}-${process.arch}`],
  }))
}

/**
 * Gets a Node binary from the package registry into the cache, once, and only with the digest that is pinned.
 *
 * @param {string} version
 * @param {string | undefined} integrity
 * @returns {Promise<{ path: string } | { skipped: string } | { problem: string }>}
 */
async function fetchNode(version, integrity) {
  if (integrity === undefined)
    return { skipped: `not applicable: no pinned Node ${version} for ${process.platform}-${process.arch}` }
  const folder = join(CACHE, 'node', version)
  const path = join(folder, 'package', 'bin', 'node')
  return await exclusively(`node-${version}`, async () => {
    if (existsSync(path)) return { path }
    const fresh = `${folder}.${process.pid}`
    rmSync(fresh, { recursive: true, force: true })
    mkdirSync(fresh, { recursive: true })
    try {
      const name = `node-${process.platform}-${process.arch}`
      const packed = await runNpm(
        ['pack', `${name}@${version}`, '--json', '--silent', '--pack-destination', fresh],
        { cwd: fresh },
      )
      if (packed.code !== 0)
        return { skipped: `Node ${version} could not be fetched: ${packed.output.trim().split('\n')[0]}` }
      if (!packed.output.includes(integrity))
        return { problem: `the archive of Node ${version} has another digest than the pinned one` }
      const archive = readdirSync(fresh).find((file) => file.endsWith('.tgz')) ?? ''
      const unpacked = await run('tar', ['-xzf', archive, 'package/bin/node'], { cwd: fresh })
      if (unpacked.code !== 0)
        return { problem: `the archive of Node ${version} could not be unpacked: ${unpacked.output}` }
      rmSync(join(fresh, archive))
      renameSync(fresh, folder)
      return { path }
    } finally {
      rmSync(fresh, { recursive: true, force: true })
    }
  })
}
