// What the Redis client that retries safely costs: INCR by the bare client and guarded, one at a time and 500 at once, and
// the memory of a marker.
// Run: node bench/redis-retry/run.mjs [--rounds 5] [--ms 600] [--inFlight 500] [--markers 20000] (after a build)
import { availableParallelism, loadavg } from 'node:os'
import { Redis } from 'ioredis'
import { safeRedis } from 'onceward/redis-retry'
import { createClient } from 'redis'
import { startRedis } from '../../test-servers/index.mjs'
import { interleave } from '../lib/interleave.mjs'
import { readOptions } from '../lib/options.mjs'
import { report, table } from '../lib/report.mjs'
import { median, number, pairedRatio, withRange } from '../lib/statistics.mjs'

const options = readOptions({ rounds: 5, ms: 600, inFlight: 500, markers: 20_000 })

/** The most and the least that was aimed at, before anything was built. */
const MOST_TIME = 1.6
const LEAST_THROUGHPUT = 0.4

/** @typedef {{ perSecond: number, p50Us: number }} Sample */

const load = loadavg()[0] ?? 0
const server = await startRedis()
try {
  const ioredis = new Redis(server.url, {
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
  })
  await new Promise((resolve) => ioredis.once('ready', resolve))
  const nodeRedis = createClient({ url: server.url })
  await nodeRedis.connect()
  const guarded = { ioredis: safeRedis(ioredis), 'node-redis': safeRedis(nodeRedis) }
  /** @type {Record<string, () => Promise<unknown>>} */
  const contestants = {
    'ioredis, bare': () => ioredis.call('INCR', 'n'),
    'ioredis, guarded': () => guarded.ioredis.call('INCR', 'n'),
    'node-redis, bare': () => nodeRedis.sendCommand(['INCR', 'n']),
    'node-redis, guarded': () => guarded['node-redis'].call('INCR', 'n'),
  }
  const parts = []
  const verdicts = []
  for (const callers of [1, options.inFlight]) {
    // Both sides are to be compiled before anything counts.
    for (const send of Object.values(contestants)) await measure(send, callers, options.ms)
    const samples = await interleave(Object.keys(contestants), options.rounds, (name) =>
      measure(contestants[name] ?? contestants['ioredis, bare'], callers, options.ms),
    )
    const { rows, ratios } = compared(samples)
    verdicts.push(
      ...ratios.map(([name, ratio]) =>
        callers === 1
          ? judged(
              `${name}, alone: times the time`,
              `at most ${MOST_TIME}`,
              1 / ratio,
              1 / ratio <= MOST_TIME,
            )
          : judged(
              `${name}, ${callers} in flight: times the throughput`,
              `at least ${LEAST_THROUGHPUT}`,
              ratio,
              ratio >= LEAST_THROUGHPUT,
            ),
      ),
    )
    parts.push(
      `## ${callers === 1 ? 'One at a time' : `${callers} in flight`}`,
      table(['INCR', 'per second', '× the bare client', 'median µs'], rows),
    )
  }
  const memory = await markers(guarded.ioredis, options.markers)
  await Promise.all(Object.values(guarded).map((redis) => redis.close()))
  ioredis.disconnect()
  nodeRedis.destroy()
  report('redis-retry', 'A Redis client that retries safely', [
    `Redis ${server.version} on the same machine, one client process, one connection for each client. Medians (min–max) of ${options.rounds} ` +
      `interleaved rounds of ${options.ms} ms; a ratio is the median of the ratios within a round.`,
    '## Targets',
    ...busyNote(),
    table(['against the bare client', 'target', 'measured', ''], verdicts),
    ...parts,
    '## Memory of a marker',
    `The growth of \`used_memory\` by ${number(options.markers)} operations, for each.`,
    table(['operation', 'bytes'], memory),
  ])
} finally {
  await server.stop()
}

/**
 * Sends one command after another in each of `callers` loops.
 *
 * @param {(() => Promise<unknown>) | undefined} send
 * @param {number} callers
 * @param {number} ms
 * @returns {Promise<Sample>}
 */
async function measure(send, callers, ms) {
  if (send === undefined) throw new Error('nothing to measure')
  const until = performance.now() + ms
  /** @type {number[]} */
  const took = []
  const from = performance.now()
  const caller = async () => {
    for (let now = performance.now(); now < until; ) {
      await send()
      const then = performance.now()
      took.push(then - now)
      now = then
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return { perSecond: (took.length / (performance.now() - from)) * 1000, p50Us: median(took) * 1000 }
}

/** @param {Map<string, Sample[]>} samples */
function compared(samples) {
  /** @type {[string, number][]} */
  const ratios = []
  const rows = [...samples].map(([name, own]) => {
    const rates = own.map(({ perSecond }) => perSecond)
    const bare = (samples.get(name.replace('guarded', 'bare')) ?? []).map(({ perSecond }) => perSecond)
    const ratio = pairedRatio(rates, bare)
    if (name.endsWith('guarded')) ratios.push([name, ratio])
    return [name, withRange(rates), number(ratio, 2), withRange(own.map(({ p50Us }) => p50Us))]
  })
  return { rows, ratios }
}

/** @param {string} what @param {string} target @param {number} value @param {boolean} met */
function judged(what, target, value, met) {
  return [what, target, number(value, 2), met ? 'met' : 'missed']
}

/** @param {import('onceward/redis-retry').SafeRedis} redis @param {number} count */
async function markers(redis, count) {
  const used = async () =>
    Number(/used_memory:(\d+)/.exec(String(await server.command('INFO', 'memory')))?.[1])
  /** @type {readonly [string, string, string[], ((place: number) => string) | undefined][]} */
  const kinds = [
    ['`INCR`', 'INCR', ['n'], undefined],
    ['`INCR` under an `opId` of 12 characters', 'INCR', ['n'], (place) => `order-${100_000 + place}`],
    ['`GETSET`, a reply of 100 bytes', 'GETSET', ['short', 'x'.repeat(100)], undefined],
    ['`GETSET`, a reply of 1 KiB', 'GETSET', ['long', 'x'.repeat(1024)], undefined],
  ]
  const rows = []
  for (const [label, command, args, opId] of kinds) {
    await server.command('FLUSHALL')
    await redis.call(command, ...args)
    const before = await used()
    for (let from = 0; from < count; from += 500) {
      await Promise.all(
        Array.from({ length: Math.min(500, count - from) }, (_, place) =>
          redis.exec(command, args, opId ? { opId: opId(from + place) } : {}),
        ),
      )
    }
    rows.push([label, number(((await used()) - before) / count)])
  }
  return rows
}

/** Says so where others were at work on this machine before anything began. */
function busyNote() {
  const processors = availableParallelism()
  if (load <= processors) return []
  return [
    `**The machine was busy** with other work when this began: a load of ${load.toFixed(0)} on ${processors} processors. What takes time is slower here than it is; ratios are less sure.`,
  ]
}
