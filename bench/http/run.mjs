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

const REQUEST = { method: 'POST', path: '/payments', body: PAYMENT }
/** How many keys the replays take turns with. */
const PRIMED = 100
let counter = 0
function next() {
  counter += 1
  return counter
}

const options = readOptions({ rounds: 5, ms: 700, connections: 64, framework: 'both', synchronous: 'both' })
const frameworks = options.framework === 'both' ? ['express', 'fastify'] : [options.framework]
const levels = options.synchronous === 'both' ? ['normal', 'full'] : [options.synchronous]
const parts = [
  `${options.connections} connections, ${options.rounds} rounds of ${options.ms} ms, interleaved; the client and the ` +
    'servers share the machine. Medians with their range. The share of the bare framework is the median of the ratios ' +
    'within each round: of requests per second, and (steadier on a shared machine) of CPU time per request. Every ' +
    'contestant stores before it answers. A contestant is listed only if 100 copies of one request to two of its ' +
    'processes had one effect.',
]
for (const framework of frameworks) {
  for (const level of levels) {
    parts.push(`## ${framework}, synchronous = ${level}`, await compare(framework, level))
  }
}
report('http', 'HTTP middleware', parts)

/** @param {string} framework @param {string} level */
function compare(framework, level) {
  return withFolder(async (folder) => {
    const script = fileURLToPath(new URL(`./${framework}-server.mjs`, import.meta.url))
    /** @type {Map<string, Child[]>} */
    const servers = new Map()
    try {
      for (const contestant of ['bare', 'floor', 'onceward']) {
        const file = `${folder}/${contestant}.sqlite`
        const first = await Child.start([script, contestant, file, level])
        servers.set(contestant, [first])
        if (contestant === 'bare') continue
        const pair = [first, await Child.start([script, contestant, file, level])]
        servers.set(contestant, pair)
        await refuseDuplicates(contestant, pair)
        await prime(first)
      }
      return await measured(servers)
    } finally {
      for (const child of [...servers.values()].flat()) await child.stop()
    }
  })
}

/** @param {string} contestant @param {readonly Child[]} pair */
async function refuseDuplicates(contestant, pair) {
  const key = `duplicate-${Math.random()}`
  const countEffects = async () => {
    const counts = await Promise.all(pair.map((child) => child.ask('charges')))
    return counts.reduce((/** @type {number} */ sum, count) => sum + Number(count), 0)
  }
  const found = await sendDuplicates(pair, { ...REQUEST, key: () => key }, countEffects)
  if (found.effects !== 1) throw new Error(`${contestant} had ${found.effects} effects for one key`)
  console.log(`${contestant}: 100 duplicates, 1 effect, statuses ${JSON.stringify(found.statuses)}`)
}

/** Makes the keys that replays ask for. @param {Child} server */
async function prime(server) {
  const socket = await openConnection(server.url)
  for (let index = 0; index < PRIMED; index += 1)
    await socket.send({ ...REQUEST, key: () => `primed-${index}` })
  socket.close()
}

/** @param {ReadonlyMap<string, readonly Child[]>} servers */
async function measured(servers) {
  const runs = ['bare', 'floor fresh', 'onceward fresh', 'floor replay', 'onceward replay']
  const samples = await interleave(runs, options.rounds, async (run, round) => {
    const [contestant = '', kind] = run.split(' ')
    const server = /** @type {Child} */ (servers.get(contestant)?.[0])
    const key = kind === 'replay' ? () => `primed-${next() % PRIMED}` : () => `fresh-${next()}`
    const request = { ...REQUEST, key }
    if (round === 0) await warmUp(server, request, options)
    const sample = await load(server, request, { connections: options.connections, durationMs: options.ms })
    check(run, sample)
    return sample
  })
  const bare = samples.get('bare') ?? []
  const rows = runs.map((run) => {
    const of = samples.get(run) ?? []
    const rates = of.map((sample) => sample.perSecond)
    const costs = of.map((sample) => sample.cpuUsPerRequest)
    return [
      run,
      withRange(rates),
      number(
        pairedRatio(
          rates,
          bare.map((sample) => sample.perSecond),
        ),
        2,
      ),
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
