// The gateway against a plain pass-through, before one service.
//
//   node bench/gateway/run.mjs [--rounds 5] [--ms 700] [--connections 64]
import { sendDuplicates } from '../lib/duplicates.mjs'
import { interleave } from '../lib/interleave.mjs'
import { load, openConnection, warmUp } from '../lib/load.mjs'
import { readOptions, withFolder } from '../lib/options.mjs'
import { PAYMENT } from '../lib/payments.mjs'
import { report, table } from '../lib/report.mjs'
import { median, number, pairedRatio, withRange } from '../lib/statistics.mjs'
import { targetsPart } from '../lib/targets.mjs'
import { startGateway, startPassThrough, startUpstream } from './start.mjs'

const options = readOptions({ rounds: 5, ms: 700, connections: 64 })
const PRIMED = 100
const GET = { method: 'GET', path: '/payments' }
const POST = { method: 'POST', path: '/payments', body: PAYMENT }
const start = Date.now()
let counter = 0
function next() {
  counter += 1
  return counter
}

/** What is sent, to whom, and what it is compared with. */
const RUNS = [
  { name: 'GET pass-through', gateway: false, request: GET, floor: 'GET pass-through' },
  { name: 'GET gateway, no key', gateway: true, request: GET, floor: 'GET pass-through' },
  { name: 'POST pass-through', gateway: false, request: POST, floor: 'POST pass-through' },
  { name: 'POST gateway, no key', gateway: true, request: POST, floor: 'POST pass-through' },
  {
    name: 'POST gateway, new keys',
    gateway: true,
    request: { ...POST, key: () => `fresh-${next()}` },
    floor: 'POST pass-through',
  },
  {
    name: 'POST gateway, replays',
    gateway: true,
    request: { ...POST, key: () => `primed-${next() % PRIMED}` },
    floor: 'POST pass-through',
  },
]

await withFolder(async (folder) => {
  const file = `${folder}/gateway.sqlite`
  const children = []
  try {
    const upstream = await startUpstream()
    children.unshift(upstream)
    const passThrough = await startPassThrough(upstream)
    children.unshift(passThrough)
    const gateway = await startGateway(upstream, file)
    children.unshift(gateway)
    const second = await startGateway(upstream, file)
    children.unshift(second)

    const { effects, statuses } = await sendDuplicates(
      [gateway, second],
      { ...POST, key: () => `duplicate-${start}` },
      async () => Number(await upstream.ask('charges')),
    )
    if (effects !== 1) throw new Error(`two gateways had ${effects} effects for one key`)
    console.log(`two gateways: 100 duplicates, 1 effect, statuses ${JSON.stringify(statuses)}`)
    await second.stop()

    const socket = await openConnection(gateway.url)
    for (let index = 0; index < PRIMED; index += 1)
      await socket.send({ ...POST, key: () => `primed-${index}` })
    socket.close()

    const samples = await interleave(
      RUNS.map(({ name }) => name),
      options.rounds,
      async (name, round) => {
        const run = RUNS.find((other) => other.name === name) ?? RUNS[0]
        if (run === undefined) throw new Error('nothing to run')
        const server = run.gateway ? gateway : passThrough
        if (round === 0) await warmUp(server, run.request, options)
        const sample = await load(server, run.request, {
          connections: options.connections,
          durationMs: options.ms,
        })
        const expected = run.request === GET ? '200' : '201'
        if (Object.keys(sample.statuses).join() !== expected) {
          throw new Error(`${name} answered ${JSON.stringify(sample.statuses)}`)
        }
        if (name.endsWith('replays') && sample.replays < sample.requests)
          throw new Error('replays were run again')
        return sample
      },
    )
    const rows = RUNS.map(({ name, floor }) => {
      const own = samples.get(name) ?? []
      const other = samples.get(floor) ?? []
      const rates = own.map((sample) => sample.perSecond)
      const costs = own.map((sample) => sample.cpuUsPerRequest)
      return [
        name,
        withRange(rates),
        number(
          pairedRatio(
            rates,
            other.map((sample) => sample.perSecond),
          ),
          2,
        ),
        withRange(costs, 1),
        number(
          pairedRatio(
            other.map((sample) => sample.cpuUsPerRequest),
            costs,
          ),
          2,
        ),
        number(median(own.map((sample) => sample.p50Ms)), 2),
        number(median(own.map((sample) => sample.p99Ms)), 2),
      ]
    })
    report('gateway', 'The gateway against a plain pass-through', [
      `${options.connections} connections, ${options.rounds} rounds of ${options.ms} ms, interleaved; client, proxy ` +
        'and service share the machine. The pass-through is a `node:http` server with an undici Pool that hands ' +
        'requests on and does nothing else. Medians with their range; shares are medians of the ratios within each ' +
        'round, of requests per second and of CPU time per request. SQLite on disk, `synchronous = FULL`. 100 copies ' +
        'of one request through two gateways on one file had one effect.',
      '## In short',
      table(
        ['', 'requests/s', 'share of pass-through', 'CPU µs/request', 'share by CPU', 'p50 ms', 'p99 ms'],
        rows,
      ),
      targetsPart(
        ['GET', 'POST'].map((method) => ({
          what: `${method} without a key through the gateway`,
          atLeast: 0.9,
          measured: pairedRatio(
            (samples.get(`${method} gateway, no key`) ?? []).map((sample) => sample.perSecond),
            (samples.get(`${method} pass-through`) ?? []).map((sample) => sample.perSecond),
          ),
        })),
      ),
    ])
  } finally {
    for (const child of children) await child.stop()
  }
})
