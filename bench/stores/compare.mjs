import { interleave } from '../lib/interleave.mjs'
import { table } from '../lib/report.mjs'
import { median, number, pairedRatio, withRange } from '../lib/statistics.mjs'
import { effectsOfDuplicates } from './duplicates.mjs'
import { createMeasure, KINDS } from './measure.mjs'

const TITLES = {
  fresh: 'Fresh: each key is new',
  replay: 'Replay: each key has ended before (2,000 keys in turn)',
  storm: 'Storm: twenty callers of each new key at once',
}

/**
 * Measures every contestant, interleaved, and writes the tables.
 *
 * @param {object} what
 * @param {string} what.module The module that exports `contestants`, for the processes of the duplicates check.
 * @param {readonly import('./contestant.mjs').Contestant[]} what.contestants The first one is the floor.
 * @param {string} what.url
 * @param {() => Promise<number>} what.trips How many round trips the server has seen so far.
 * @param {() => Promise<void>} what.clear Empties the server between rounds.
 * @param {readonly number[]} what.inFlight
 * @param {number} what.rounds
 * @param {number} what.ms
 * @returns {Promise<string[]>} Parts of a report.
 */
export async function compare({ module, contestants, url, trips, clear, inFlight, rounds, ms }) {
  /** @type {Map<string, number>} */
  const effects = new Map()
  for (const { name } of contestants) effects.set(name, await effectsOfDuplicates(module, name, url))
  const honest = contestants.filter(({ name }) => effects.get(name) === 1)
  const floor = /** @type {import('./contestant.mjs').Contestant} */ (contestants[0]).name
  const measure = createMeasure()
  const parts = [duplicatesPart(effects)]
  for (const kind of KINDS) {
    /** @type {(string | number)[][]} */
    const rows = []
    for (const callers of inFlight) {
      const names = honest.map(({ name }) => name)
      const samples = await interleave(names, rounds, async (name) => {
        await clear()
        const open = await /** @type {import('./contestant.mjs').Contestant} */ (
          honest.find((one) => one.name === name)
        ).open(url)
        try {
          return await measure(open, kind, { inFlight: callers, ms, trips })
        } finally {
          await open.close()
        }
      })
      const of = (/** @type {string} */ name, /** @type {'rate'|'p50'|'p99'|'cpuUs'|'trips'} */ field) =>
        (samples.get(name) ?? []).map((sample) => sample[field])
      for (const name of names) {
        rows.push([
          callers,
          name,
          withRange(of(name, 'rate')),
          `${pairedRatio(of(name, 'rate'), of(floor, 'rate')).toFixed(2)} ×`,
          number(median(of(name, 'p50')), 2),
          number(median(of(name, 'p99')), 2),
          number(median(of(name, 'cpuUs')), 1),
          number(median(of(name, 'trips')), 3),
        ])
      }
      console.error(`${kind} at ${callers}: measured`)
    }
    const head = [
      'in flight',
      'contestant',
      'operations/s',
      'ratio',
      'p50 ms',
      'p99 ms',
      'client CPU µs',
      'round trips',
    ]
    parts.push(`## ${TITLES[kind]}`, table(head, rows))
  }
  return parts
}

/** @param {Map<string, number>} effects */
function duplicatesPart(effects) {
  const rows = [...effects].map(([name, count]) => [name, count, count === 1 ? 'counts' : 'left out'])
  return [
    '## One key, a hundred times from two processes',
    table(['contestant', 'effects', 'its speed'], rows),
  ].join('\n\n')
}
