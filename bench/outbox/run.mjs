// Outbox: adding in transactions, and draining a backlog by one relay and by two, beside the least that could do it by hand.
// Run: node bench/outbox/run.mjs [--database postgres] [--events 20000] [--ms 1000] (after a build)
import { availableParallelism, loadavg } from 'node:os'
import { readOptions, withFolder } from '../lib/options.mjs'
import { report, table } from '../lib/report.mjs'
import { number } from '../lib/statistics.mjs'
import { DATABASES, openOutbox } from './databases.mjs'
import { handWritten } from './floor.mjs'

const ADDED_AT_ONCE = 500
const BATCH = 500

const options = readOptions({ database: '', events: 20_000, ms: 1000 })
/** @type {(string | number)[][]} */
const added = []
/** @type {(string | number)[][]} */
const drained = []
/** @type {string[]} */
const abouts = []
const note = busyNote()

for (const name of DATABASES.filter((one) => options.database === '' || one === options.database)) {
  await withFolder(async (folder) => {
    const opened = await openOutbox(name, folder)
    abouts.push(opened.about)
    try {
      added.push([name, number(await addRate(opened, 1)), number(await addRate(opened, 100))])
      for (const { what, key } of KEYS()) {
        await drain(opened, () => {}, 1)
        drained.push([
          name,
          what,
          number(await drainRate(opened, key, 1, false)),
          number(await drainRate(opened, key, 1, true)),
          number(await drainRate(opened, key, 2, true)),
        ])
      }
      if (name === 'postgres') {
        const floor = await handWritten(/** @type {import('pg').Pool} */ (opened.db), options.events)
        drained.push([name, 'by hand: claim and delete, no order', '', number(await floor.drain(BATCH)), ''])
      }
    } finally {
      await opened.close()
    }
  })
}

report(options.database === '' ? 'outbox' : `outbox-${options.database}`, 'Outbox', [
  ...note,
  `${abouts.join('; ')}; one client process. Adding: transactions that do nothing else, four at a time, over ${options.ms} ms. ` +
    `Draining: ${number(options.events)} events with a payload of 60 bytes, published to nobody in no time, ${BATCH} taken at a time; one ` +
    'run each, so differences below a quarter mean nothing.',
  '## Events added a second',
  table(['database', 'one a transaction', '100 a transaction'], added),
  '## Events published a second',
  table(['database', 'keys', '`publish`', '`publishBatch`', '`publishBatch`, two relays'], drained),
])

function KEYS() {
  return [
    { what: 'none', key: () => ({}) },
    { what: '1,000 keys', key: (/** @type {number} */ n) => ({ key: `k${n % 1000}` }) },
    { what: 'one key', key: () => ({ key: 'k' }) },
  ]
}

/** Says so where others were at work on this machine before anything began. */
function busyNote() {
  const [load = 0] = loadavg()
  const processors = availableParallelism()
  if (load <= processors) return []
  return [
    `**The machine was busy** with other work when this began: a load of ${load.toFixed(0)} on ${processors} processors. All of it is ` +
      'slower here than it is, by a factor.',
  ]
}

/** @typedef {Awaited<ReturnType<typeof openOutbox>>} Opened */

/** @param {Opened} opened @param {number} each */
async function addRate(opened, each) {
  const events = Array.from({ length: each }, (_, n) => event(n, {}))
  const started = performance.now()
  let count = 0
  const loop = async () => {
    while (performance.now() - started < options.ms) {
      await opened.transact((tx) => opened.outbox.add(tx, events))
      count += each
    }
  }
  await Promise.all([loop(), loop(), loop(), loop()])
  return (count * 1000) / (performance.now() - started)
}

/** @param {Opened} opened @param {(n: number) => { key?: string }} key @param {number} relays @param {boolean} together */
async function drainRate(opened, key, relays, together) {
  for (let from = 0; from < options.events; from += ADDED_AT_ONCE) {
    const events = Array.from({ length: ADDED_AT_ONCE }, (_, n) => event(from + n, key(from + n)))
    await opened.transact((tx) => opened.outbox.add(tx, events))
  }
  let count = 0
  let first = 0
  await drain(
    opened,
    (events) => {
      if (count === 0) first = performance.now()
      count += events
    },
    relays,
    together,
  )
  if (count !== options.events) throw new Error(`${count} events of ${options.events} were published`)
  return (count * 1000) / (performance.now() - first)
}

/** @param {Opened} opened @param {(events: number) => void} tell @param {number} relays */
async function drain(opened, tell, relays, together = true) {
  const started = Array.from({ length: relays }, () =>
    opened.outbox.relay({
      batchSize: BATCH,
      pollMs: 20,
      ...(together ? { publishBatch: (events) => tell(events.length) } : { publish: () => tell(1) }),
    }),
  )
  for (const relay of started) relay.start()
  while ((await opened.outbox.stats()).pending > 0) await new Promise((resolve) => setTimeout(resolve, 20))
  await Promise.all(started.map((relay) => relay.stop()))
}

/** @param {number} n @param {{ key?: string }} key */
function event(n, key) {
  return { topic: 'orders', ...key, payload: { type: 'placed', order: `o-${n}`, total: 4200, at: '2026' } }
}
