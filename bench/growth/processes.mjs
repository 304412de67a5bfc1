// Many processes on one store: 1, 4, 16 and 64, each with new keys of its own, and all with one key in common.
// Run: node bench/growth/processes.mjs [--store postgres] [--most 64] [--rounds 3] [--ms 1000] (after a build)
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { readOptions, withFolder } from '../lib/options.mjs'
import { report, table } from '../lib/report.mjs'
import { median, number, withRange } from '../lib/statistics.mjs'
import { chosenStores, startServer } from './servers.mjs'

/** @typedef {import('./worker.mjs').WorkerTally} WorkerTally */

/** Callers in flight in each process. */
const CALLERS = 8

const options = readOptions({ store: '', most: 64, rounds: 3, ms: 1000 })
const steps = [1, 4, 16, 64].filter((count) => count <= options.most)
const workers = await startWorkers(Math.max(...steps))
const rows = []
const servers = []
try {
  for (const name of chosenStores(options.store)) {
    await withFolder(async (folder) => {
      const server = await startServer(name, folder)
      servers.push(server.about)
      try {
        // One after another: the first makes the schema.
        for (const worker of workers) await tell(worker, { do: 'open', name, url: server.url })
        // What is not compiled yet says nothing about the store.
        const warmUp = { do: 'run', shared: 'warm-up', callers: CALLERS, ms: 500 }
        await Promise.all(workers.map((worker) => tell(worker, warmUp)))
        for (const count of steps) {
          const rates = []
          let refused = 0
          for (let round = 0; round < options.rounds; round += 1) {
            const order = { do: 'run', shared: `shared-${count}-${round}`, callers: CALLERS, ms: options.ms }
            const tallies = /** @type {WorkerTally[]} */ (
              await Promise.all(workers.slice(0, count).map((worker) => tell(worker, order)))
            )
            const sum = (/** @type {(tally: WorkerTally) => number} */ of) =>
              tallies.reduce((total, tally) => total + of(tally), 0)
            if (sum((tally) => tally.effects) !== 1)
              throw new Error(
                `${name}, ${count} processes: ${sum((tally) => tally.effects)} effects of one key`,
              )
            rates.push(sum((tally) => tally.perSecond))
            refused += sum((tally) => tally.refused)
            for (const reason of new Set(tallies.flatMap((tally) => tally.reasons))) console.error(reason)
          }
          rows.push([name, count, withRange(rates), number(median(rates) / count), 1, refused])
          console.error(`${name}, ${count} processes: measured`)
        }
        for (const worker of workers) await tell(worker, { do: 'close' })
      } finally {
        await server.stop()
      }
    })
  }
} finally {
  for (const worker of workers) worker.disconnect()
}
report(
  options.store === '' ? 'growth-processes' : `growth-processes-${options.store}`,
  'Many processes on one store',
  [
    `${servers.join('; ')}. All processes on one machine, ${CALLERS} calls of \`once.run\` with new keys in flight in each, a ` +
      `pool of three connections each. ${options.rounds} rounds of ${options.ms} ms, median (min–max) of the total. In each ` +
      'round all of them also ask for one key in common, eight times each: *effects* is how often its work was done. ' +
      '*Refused* counts calls that ended with an error.',
    '## By processes',
    table(
      ['store', 'processes', 'operations/s in total', 'of each', 'effects of the shared key', 'refused'],
      rows,
    ),
  ],
)

/** @param {number} count */
async function startWorkers(count) {
  const file = fileURLToPath(new URL('./worker.mjs', import.meta.url))
  const started = []
  for (let index = 0; index < count; index += 1) {
    const worker = fork(file)
    started.push(worker)
    await once(worker, 'message')
  }
  return started
}

/** @param {import('node:child_process').ChildProcess} worker @param {object} order */
async function tell(worker, order) {
  const answer = once(worker, 'message')
  worker.send(order)
  const [said] = await answer
  if (typeof said === 'object' && 'failed' in said) throw new Error(said.failed)
  return said
}
