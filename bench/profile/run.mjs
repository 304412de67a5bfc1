// Where the CPU time of once.run goes, on Redis and on PostgreSQL, from a sampling profile of the process that calls it.
// Run: node bench/profile/run.mjs [--ms 3000] [--store redis] (after a build)
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { chosenStores, startServer } from '../growth/servers.mjs'
import { readOptions, withFolder } from '../lib/options.mjs'
import { report, table } from '../lib/report.mjs'
import { number } from '../lib/statistics.mjs'

/**
 * @typedef {object} Profile
 * @property {{ id: number, callFrame: { functionName: string, url: string, lineNumber: number } }[]} nodes
 * @property {number[]} samples
 * @property {number[]} timeDeltas In µs.
 */

/** Whose time it is, by where the code lies; the first that fits. */
const GROUPS = /** @type {const} */ ([
  ['onceward: engine', /onceward\/dist\/core\//],
  ['onceward: store', /onceward\/dist\/stores\//],
  ['onceward: driver', /onceward\/dist\/drivers\//],
  ['client package', /node_modules\//],
  ['the benchmark', /\/bench\//],
  ['Node', /^node:/],
])
const TOP = 12
/** `dispatch` is the profiler's own: starting and stopping it. */
const NOT_WORKING = new Set(['(idle)', '(root)', 'dispatch'])

const options = readOptions({ ms: 3000, store: '' })
const chosen =
  options.store === '' ? /** @type {const} */ (['redis', 'postgres']) : chosenStores(options.store)
const shares = new Map()
const rates = []
const parts = []
await withFolder(async (folder) => {
  for (const name of chosen) {
    const server = await startServer(name, folder)
    try {
      const worker = fork(fileURLToPath(new URL('./worker.mjs', import.meta.url)), [
        name,
        server.url,
        `${options.ms}`,
      ])
      const [answer] = await once(worker, 'message')
      const { perSecond, cpuShare, profile } =
        /** @type {{ perSecond: number, cpuShare: number, profile: Profile }} */ (answer)
      rates.push([
        name,
        number(perSecond),
        number((cpuShare * 1e6) / perSecond, 1),
        `${number(cpuShare * 100)} %`,
      ])
      const found = whereTimeGoes(profile)
      shares.set(name, found.groups)
      parts.push(
        `## Functions on ${name}`,
        table(
          ['function', 'where', 'share'],
          found.functions.map(([what, where, part]) => [what, where, percent(part)]),
        ),
      )
    } finally {
      await server.stop()
    }
  }
})
const groups = [...new Set([...shares.values()].flatMap((of) => [...of.keys()]))]
report('profile', 'Where the CPU time of once.run goes', [
  `once.run with new keys, 64 in flight, no cache, ${options.ms} ms after two seconds of warming up; sampled every 0.2 ms in ` +
    'the process that calls it (self time, idle time left out). *Node* is its own JavaScript; native code of Node (system ' +
    'calls, hashing, timers) and V8 is under *native*.',
  '## Shares',
  table(
    ['share of CPU time', ...chosen],
    groups.map((group) => [group, ...chosen.map((name) => percent(shares.get(name)?.get(group) ?? 0))]),
  ),
  '## Rates under the profiler',
  table(['store', 'operations/s', 'CPU µs an operation', 'one core used'], rates),
  ...parts,
])

/** @param {Profile} profile */
function whereTimeGoes(profile) {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]))
  /** @type {Map<string, number>} */
  const groups = new Map()
  /** @type {Map<string, number>} */
  const functions = new Map()
  let total = 0
  for (const [index, id] of profile.samples.entries()) {
    const frame = frames.get(id)
    const took = profile.timeDeltas[index] ?? 0
    if (frame === undefined || NOT_WORKING.has(frame.functionName)) continue
    total += took
    add(groups, groupOf(frame), took)
    add(functions, `${frame.functionName || '(anonymous)'}\t${placeOf(frame)}`, took)
  }
  const byTime = (/** @type {Map<string, number>} */ of) =>
    [...of].sort(([, left], [, right]) => right - left)
  return {
    groups: new Map(byTime(groups).map(([group, took]) => [group, took / total])),
    functions: byTime(functions)
      .slice(0, TOP)
      .map(([label, took]) => {
        const [what = '', where = ''] = label.split('\t')
        return /** @type {const} */ ([`\`${what}\``, where, took / total])
      }),
  }
}

/** @param {{ functionName: string, url: string }} frame */
function groupOf({ functionName, url }) {
  if (functionName === '(garbage collector)') return 'garbage collection'
  return GROUPS.find(([, pattern]) => pattern.test(url))?.[0] ?? 'native'
}

/** @param {{ url: string, lineNumber: number }} frame */
function placeOf({ url, lineNumber }) {
  if (url === '') return ''
  const short = url
    .replace(/^.*\/node_modules\//, '')
    .replace(/^.*\/onceward\/dist\//, 'onceward/')
    .replace(/^.*\/bench\//, 'bench/')
  return `${short}:${lineNumber + 1}`
}

/** @param {Map<string, number>} to @param {string} name @param {number} amount */
function add(to, name, amount) {
  to.set(name, (to.get(name) ?? 0) + amount)
}

/** @param {number} part */
function percent(part) {
  return `${number(part * 100, 1)} %`
}
