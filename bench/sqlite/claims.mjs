// Claim and complete: one commit for each transition, as written by hand, against the store with its group commit.
// Run: node bench/sqlite/claims.mjs [--rounds 7] [--ms 500] (after a build)
import { join } from 'node:path'
import { operationId } from 'onceward'
import { sqliteStore } from 'onceward/sqlite'
import { interleave } from '../lib/interleave.mjs'
import { readOptions, withFolder } from '../lib/options.mjs'
import { report, table } from '../lib/report.mjs'
import { pairedRatio, quantile, withRange } from '../lib/statistics.mjs'
import { targetsPart } from '../lib/targets.mjs'
import { singleCommit } from './single-commit.mjs'

const IN_FLIGHT = [1, 64, 256]
const VALUE = new TextEncoder().encode(JSON.stringify({ id: 'ch_1', amount: 4200, note: 'x'.repeat(80) }))
const options = readOptions({ rounds: 7, ms: 500 })

/** @type {Record<string, (path: string, synchronous: 'full' | 'normal') => any>} */
const CONTESTANTS = {
  'single commit': singleCommit,
  'onceward, each its own commit': (path, synchronous) => sqliteStore(path, { synchronous, maxBatch: 1 }),
  'onceward, group commit': (path, synchronous) => sqliteStore(path, { synchronous }),
}

/** How many times as fast as single commits it was meant to be. */
const GOALS = { normal: 4, full: 25 }

let files = 0
const parts = []
const targets = []
await withFolder(async (folder) => {
  for (const synchronous of /** @type {const} */ (['normal', 'full'])) {
    const rows = []
    for (const inFlight of IN_FLIGHT) {
      const names = Object.keys(CONTESTANTS)
      const samples = await interleave(names, options.rounds, (name) =>
        round(name, join(folder, `${files++}.sqlite`), synchronous, inFlight),
      )
      const rates = (name) => (samples.get(name) ?? []).map((sample) => sample.rate)
      if (inFlight > 1)
        targets.push({
          what: `group commit, synchronous = ${synchronous.toUpperCase()}, ${inFlight} in flight`,
          atLeast: GOALS[synchronous],
          measured: pairedRatio(rates('onceward, group commit'), rates('single commit')),
        })
      for (const name of names) {
        const own = samples.get(name) ?? []
        rows.push([
          inFlight,
          name,
          withRange(rates(name)),
          `${pairedRatio(rates(name), rates('single commit')).toFixed(2)} ×`,
          withRange(
            own.map((sample) => sample.p50),
            2,
          ),
          withRange(
            own.map((sample) => sample.p99),
            2,
          ),
        ])
      }
    }
    const head = ['in flight', 'commit', 'pairs/s', 'ratio', 'p50 ms of a pair', 'p99 ms']
    parts.push(`## synchronous = ${synchronous.toUpperCase()}`, table(head, rows))
  }
})

report('sqlite-claims', 'SQLite: claim and complete', [
  `Pairs of a claim and a completion of fresh operations, each with an outcome of ${VALUE.length} bytes. Median ` +
    `(min–max) of ${options.rounds} interleaved rounds of ${options.ms} ms, each on a fresh file; the ratio is the ` +
    'median of the ratios within a round. *Single commit* is written by hand with prepared statements: one ' +
    'transaction for each transition, and no history, steps or listing. *Each its own commit* is the store with ' +
    '`maxBatch: 1`.',
  targetsPart(targets),
  ...parts,
])

/**
 * @param {string} name
 * @param {string} path
 * @param {'full' | 'normal'} synchronous
 * @param {number} inFlight
 */
async function round(name, path, synchronous, inFlight) {
  const store = CONTESTANTS[name]?.(path, synchronous)
  let next = 0
  const run = async (until) => {
    const took = []
    const worker = async () => {
      while (performance.now() < until) {
        const started = performance.now()
        await pair(store, `order-${next++}`)
        took.push(performance.now() - started)
        // Lets the event loop turn, as any server does between two requests.
        if (name === 'single commit' && took.length % inFlight === 0) await new Promise(setImmediate)
      }
    }
    await Promise.all(Array.from({ length: inFlight }, worker))
    return took
  }
  await run(performance.now() + options.ms / 5)
  const started = performance.now()
  const took = await run(started + options.ms)
  const rate = took.length / ((performance.now() - started) / 1000)
  await store.close()
  const sorted = took.sort((a, b) => a - b)
  return { rate, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) }
}

async function pair(store, key) {
  const id = operationId('bench', key)
  const reply = await store.claim({
    id,
    owner: `owner-${key}-${'o'.repeat(16)}`,
    fingerprint: id.digest,
    leaseMs: 30_000,
    retentionMs: 86_400_000,
    onCrash: 'hold',
  })
  if (reply.state !== 'claimed') throw new Error(`expected a claim, got ${reply.state}`)
  if (!(await store.complete(reply.claim, { kind: 'value', value: VALUE }, 86_400_000)))
    throw new Error('lost')
}
