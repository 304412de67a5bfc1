// Express and Fastify: the bare framework, a hand-written floor, and our middleware, over SQLite on disk.
//
//   node bench/http/run.mjs [--rounds 5] [--ms 700] [--connections 64] [--framework express|fastify|both] [--synchronous full|normal|both]
import { fileURLToPath } from 'node:url'
import { Child } from '../lib/child.mjs'
import { sendDuplicates } from '../lib/duplicates.mjs'
import { interleave } from '../lib/interleave.mjs'
import { load, openConnection, warmUp } from '../lib/load.mjs'
import { readOptions, withFolder } from '../lib/options.mjs'
import { PAYMENT } from '../lib/payments.mjs'
import { report, table } from '../lib/report.mjs'
import { median, number, pairedRatio, withRange } from '../lib/statistics.mjs'
import { targetsPart } from '../lib/targets.mjs'

const REQUEST = { method: 'POST', path: '/payments', body: PAYMENT }
/** How many keys the replays take turns with. */
const PRIMED = 100
let counter = 0
function next() {
  counter += 1
  return counter
}

const options = readOptions({
  rounds: 5,
  ms: 700,
  connections: 64,
  framework: 'both',
  synchronous: 'both',
  warmUpMs: 20_000,
})
const frameworks = options.framework === 'both' ? ['express', 'fastify'] : [options.framework]
const levels = options.synchronous === 'both' ? ['normal', 'full'] : [options.synchronous]
/** Who takes part besides the bare framework. */
const CONTESTANTS = {
  express: ['floor', 'node-idempotency', 'express-idempotency', 'onceward'],
  fastify: ['floor', 'onceward'],
}
/** Shares of the bare framework that were aimed at, fresh and replayed. */
const GOALS = { express: { fresh: 0.8, replay: 0.95 }, fastify: { fresh: 0.52, replay: 0.68 } }

/** What the duplicates check found. @type {Map<string, [effects: number, statuses: string]>} */
const duplicates = new Map()
/** Shares of the bare framework: a column for each framework and level. @type {Map<string, Map<string, number>>} */
const shares = new Map()
const details = []
for (const framework of frameworks) {
  for (const level of levels) {
    const title = `${framework}, synchronous = ${level}`
    details.push(`## ${title}`, await compare(framework, level, title))
  }
}
const columns = [...shares.keys()]
const runs = [...new Set([...shares.values()].flatMap((column) => [...column.keys()]))]
report('http', 'HTTP middleware', [
  `${options.connections} connections, ${options.rounds} rounds of ${options.ms} ms, interleaved; the client and the ` +
    'servers share the machine. Medians with their range. The share of the bare framework is the median of the ratios ' +
    'within each round: of requests per second, and (steadier on a shared machine) of CPU time per request. The floor, ' +
    'node-idempotency and onceward store before they answer. A contestant is measured only if 100 copies of one request ' +
    'to two of its processes had one effect. The peers are given a table in SQLite to store in: they come without one.',
  '## One key, a hundred times to two processes',
  table(
    ['contestant', 'effects', 'statuses'],
    [...duplicates].map(([name, [effects, statuses]]) => [name, effects, statuses]),
  ),
  '## In short',
  table(
    ['share of the bare framework', ...columns],
    runs.map((run) => [run, ...columns.map((column) => shares.get(column)?.get(run)?.toFixed(2) ?? '')]),
  ),
  targetsPart(
    frameworks.flatMap((framework) =>
      Object.entries(GOALS[/** @type {keyof typeof GOALS} */ (framework)]).map(([kind, atLeast]) => ({
        what: `${framework}, ${kind}, synchronous = normal`,
        atLeast,
        measured: shares.get(`${framework}, synchronous = normal`)?.get(`onceward ${kind}`),
      })),
    ),
  ),
  ...details,
])

/** @param {string} framework @param {string} level @param {string} title */
function compare(framework, level, title) {
  return withFolder(async (folder) => {
    const script = fileURLToPath(new URL(`./${framework}-server.mjs`, import.meta.url))
    /** @type {Map<string, Child[]>} */
    const servers = new Map()
    try {
      servers.set('bare', [await Child.start([script, 'bare', '', level])])
      const able = []
      for (const contestant of CONTESTANTS[/** @type {keyof typeof CONTESTANTS} */ (framework)]) {
        const args = [script, contestant, `${folder}/${contestant}.sqlite`, level]
        const first = await Child.start(args)
        servers.set(contestant, [first])
        const pair = [first, await Child.start(args)]
        servers.set(contestant, pair)
        if (!(await hasOneEffect(`${framework}, ${contestant}`, pair))) {
          if (contestant === 'onceward') throw new Error('onceward had more than one effect for one key')
          continue
        }
        able.push(contestant)
        await prime(first)
      }
      return await measured(servers, able, title)
    } finally {
      for (const child of [...servers.values()].flat()) await child.stop()
    }
  })
}

/** @param {string} contestant @param {readonly Child[]} pair */
async function hasOneEffect(contestant, pair) {
  const key = `duplicate-${Math.random()}`
  const countEffects = async () => {
    const counts = await Promise.all(pair.map((child) => child.ask('charges')))
    return counts.reduce((/** @type {number} */ sum, count) => sum + Number(count), 0)
  }
  const { effects, statuses } = await sendDuplicates(pair, { ...REQUEST, key: () => key }, countEffects)
  const counted = Object.entries(statuses).map(([status, count]) => `${count} × ${status}`)
  duplicates.set(contestant, [effects, counted.join(', ')])
  return effects === 1
}

/** Makes the keys that replays ask for. @param {Child} server */
async function prime(server) {
  const socket = await openConnection(server.url)
  for (let index = 0; index < PRIMED; index += 1)
    await socket.send({ ...REQUEST, key: () => `primed-${index}` })
  socket.close()
}

/** @param {ReadonlyMap<string, readonly Child[]>} servers @param {readonly string[]} able @param {string} title */
async function measured(servers, able, title) {
  const runs = ['bare', ...['fresh', 'replay'].flatMap((kind) => able.map((name) => `${name} ${kind}`))]
  const column = new Map()
  shares.set(title, column)
  const samples = await interleave(runs, options.rounds, async (run, round) => {
    const [contestant = '', kind] = run.split(' ')
    const server = /** @type {Child} */ (servers.get(contestant)?.[0])
    const key = kind === 'replay' ? () => `primed-${next() % PRIMED}` : () => `fresh-${next()}`
    const request = { ...REQUEST, key }
    if (round === 0) await warmUp(server, request, { ...options, mostMs: options.warmUpMs })
    const sample = await load(server, request, { connections: options.connections, durationMs: options.ms })
    check(run, sample)
    return sample
  })
  const bare = samples.get('bare') ?? []
  const rows = runs.map((run) => {
    const of = samples.get(run) ?? []
    const rates = of.map((sample) => sample.perSecond)
    const costs = of.map((sample) => sample.cpuUsPerRequest)
    const share = pairedRatio(
      rates,
      bare.map((sample) => sample.perSecond),
    )
    column.set(run, share)
    return [
      run,
      withRange(rates),
      number(share, 2),
      withRange(costs, 1),
      number(
        pairedRatio(
          bare.map((sample) => sample.cpuUsPerRequest),
          costs,
        ),
        2,
      ),
      number(median(of.map((sample) => sample.p50Ms)), 2),
      number(median(of.map((sample) => sample.p99Ms)), 2),
    ]
  })
  return table(
    ['', 'requests/s', 'share of bare', 'CPU µs/request', 'share by CPU', 'p50 ms', 'p99 ms'],
    rows,
  )
}

/** What is not a 201, or a replay that is none, would make a fast and empty benchmark. */
function check(/** @type {string} */ run, /** @type {import('../lib/load.mjs').LoadSample} */ sample) {
  const expected = run.endsWith('replay')
  const statuses = Object.keys(sample.statuses).join()
  if (statuses !== '201' || (expected && sample.replays === 0) || (!expected && sample.replays > 0)) {
    throw new Error(`${run} answered ${JSON.stringify(sample.statuses)} with ${sample.replays} replays`)
  }
}
