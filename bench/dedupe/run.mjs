// Dedupe: what an entry takes, what filtering lists and single sights cost, what a purge costs, beside what is written by hand.
// Run: node bench/dedupe/run.mjs [--store redis] [--entries 100000] [--rounds 3] [--ms 400] (after a build)
import { createDedupe } from 'onceward/dedupe'
import { connect } from '../growth/connect.mjs'
import { ratePerSecond } from '../growth/operations.mjs'
import { chosenStores, startServer } from '../growth/servers.mjs'
import { readOptions, withFolder } from '../lib/options.mjs'
import { report, table } from '../lib/report.mjs'
import { median, number } from '../lib/statistics.mjs'
import { FLOORS } from './floors.mjs'
import { bytesInUse } from './sizes.mjs'

const LIST = 5000
const IN_FLIGHT = 64
const PURGE_BATCH = 1000

const options = readOptions({ store: '', entries: 100_000, rounds: 3, ms: 400 })
/** @type {(string | number)[][]} */
const rows = []
/** @type {string[]} */
const abouts = []

for (const name of chosenStores(options.store)) {
  await withFolder(async (folder) => {
    const server = await startServer(name, folder)
    const { store, close } = await connect(name, server.url)
    const floor = await FLOORS[name](server.url)
    try {
      abouts.push(server.about)
      const dedupe = createDedupe({ store, scope: 'bench', windowMs: 86_400_000 })
      // The first call readies the store; what it costs is not the entry's.
      await dedupe.firstTime('warm')
      await floor.filterNew(['warm'])
      const ours = await fill(
        async (ids) => (await dedupe.filterNew(ids)).length,
        () => bytesInUse(name, server, 'onceward_seen'),
      )
      const theirs = await fill(floor.filterNew, () => bytesInUse(name, server, 'by_hand'))
      rows.push([name, 'dedupe', ...cells(ours), ...(await singles(dedupe)), await purgeOf(store, name)])
      rows.push([name, floor.what, ...cells(theirs), '', '', ''])
    } finally {
      await floor.close()
      await close()
      await server.stop()
    }
  })
}

report(options.store === '' ? 'dedupe' : `dedupe-${options.store}`, 'Dedupe', [
  `${abouts.join('; ')}; one client process. Bytes are the growth of the server's memory (Redis), or of the table with its ` +
    `indexes, over ${number(options.entries)} entries, divided by them. Lists have ${number(LIST)} items: all new, the same once ` +
    `more. Single sights are of new items, ${IN_FLIGHT} in flight, medians of ${options.rounds} rounds of ${options.ms} ms, and one ` +
    `after the other. A purge removes ${number(PURGE_BATCH)} expired entries a call.`,
  '## What an entry takes, and what it costs',
  table(
    [
      'store',
      'contestant',
      'bytes an entry',
      'list of new, ms',
      'list of known, ms',
      'single sights/s',
      'one sight, ms',
      'purge, ms a call',
    ],
    rows,
  ),
])

/** @param {number} from @returns {string[]} */
function someIds(from) {
  return Array.from({ length: LIST }, (_, index) => `order-${String(from + index).padStart(12, '0')}`)
}

/**
 * Fills in entries, list by list, then shows a few of the lists again.
 *
 * @param {(ids: readonly string[]) => Promise<number>} filterNew
 * @param {() => Promise<number>} bytes
 */
async function fill(filterNew, bytes) {
  const before = await bytes()
  /** @type {number[]} */
  const fresh = []
  /** @type {number[]} */
  const known = []
  for (let from = 0; from < options.entries; from += LIST) {
    fresh.push(await timed(async () => filterNew(someIds(from)), LIST))
  }
  const after = await bytes()
  for (let from = 0; from < options.entries && known.length < 9; from += LIST) {
    known.push(await timed(async () => filterNew(someIds(from)), 0))
  }
  return { bytes: (after - before) / options.entries, fresh: median(fresh), known: median(known) }
}

/** @param {() => Promise<number>} work @param {number} expected */
async function timed(work, expected) {
  const started = performance.now()
  const found = await work()
  const ms = performance.now() - started
  if (found !== expected) throw new Error(`${found} were new instead of ${expected}`)
  return ms
}

/** @param {{ readonly bytes: number, readonly fresh: number, readonly known: number }} one */
function cells({ bytes, fresh, known }) {
  return [number(bytes), number(fresh, 1), number(known, 1)]
}

/** @param {import('onceward/dedupe').Dedupe} dedupe */
async function singles(dedupe) {
  let next = 0
  const sight = async () => {
    if (!(await dedupe.firstTime(`single-${next++}`))) throw new Error('a new item was told to be known')
  }
  await ratePerSecond(IN_FLIGHT, 100, sight)
  const rates = []
  for (let round = 0; round < options.rounds; round += 1)
    rates.push(await ratePerSecond(IN_FLIGHT, options.ms, sight))
  const times = []
  for (let round = 0; round < 100; round += 1) {
    const started = performance.now()
    await sight()
    times.push(performance.now() - started)
  }
  return [number(median(rates)), number(median(times), 2)]
}

/** @param {import('../growth/connect.mjs').Store} store @param {string} name */
async function purgeOf(store, name) {
  if (name === 'redis') return 'by the server'
  const brief = createDedupe({ store, scope: 'brief', windowMs: 1 })
  await brief.filterNew(someIds(0))
  await brief.filterNew(someIds(1e9))
  const times = []
  for (let batch = 0; batch < 5; batch += 1)
    times.push(await timed(async () => brief.purge(PURGE_BATCH), PURGE_BATCH))
  return number(median(times), 1)
}
