import { ascending, quantile } from '../lib/statistics.mjs'
import { work } from './contestant.mjs'

/** The measurements, in the order of the tables. */
export const KINDS = /** @type {const} */ (['fresh', 'replay', 'storm'])

/** How many keys the replays go round. */
const KNOWN_KEYS = 2000

/** How many callers of one key come at once in a storm. */
const STORM = 20

/**
 * @typedef {(typeof KINDS)[number]} Kind
 * @typedef {{ rate: number, p50: number, p99: number, cpuUs: number, trips: number }} Sample
 */

/** Makes what asks for fresh keys, no key twice, whichever process asks. */
export function createMeasure() {
  const own = `${process.pid}-${Date.now()}`
  let next = 0

  /**
   * Keeps `inFlight` calls on their way for `ms` and answers how it went.
   *
   * @param {import('./contestant.mjs').OpenContestant} contestant
   * @param {Kind} kind
   * @param {object} options
   * @param {number} options.inFlight
   * @param {number} options.ms
   * @param {() => Promise<number>} options.trips Counts the round trips so far.
   * @param {number} [options.knownKeys] How many keys the replays go round.
   * @returns {Promise<Sample>}
   */
  return async (contestant, kind, { inFlight, ms, trips, knownKeys = KNOWN_KEYS }) => {
    const known = kind === 'replay' ? await remember(contestant, `known-${own}-${next++}`, knownKeys) : []
    let turn = 0
    const call = {
      fresh: () => contestant.run(`fresh-${own}-${next++}`, work),
      replay: () => contestant.run(/** @type {string} */ (known[turn++ % known.length]), work),
      storm: () => contestant.run(`storm-${own}-${next + Math.floor(turn++ / STORM)}`, work),
    }[kind]
    await keepGoing(call, inFlight, ms / 4)
    const before = { trips: await trips(), cpu: process.cpuUsage() }
    const started = performance.now()
    const took = await keepGoing(call, inFlight, ms)
    const seconds = (performance.now() - started) / 1000
    const cpu = process.cpuUsage(before.cpu)
    const after = await trips()
    next += turn
    took.sort(ascending)
    return {
      rate: took.length / seconds,
      p50: quantile(took, 0.5),
      p99: quantile(took, 0.99),
      cpuUs: (cpu.user + cpu.system) / took.length,
      trips: (after - before.trips) / took.length,
    }
  }
}

/** @param {() => Promise<unknown>} call @param {number} inFlight @param {number} ms */
async function keepGoing(call, inFlight, ms) {
  const until = performance.now() + ms
  /** @type {number[]} */
  const took = []
  const caller = async () => {
    for (let now = performance.now(); now < until; ) {
      try {
        await call()
      } catch (error) {
        // A contestant may turn duplicates away, as long as it says so.
        if (!/in progress|outstanding|turned away/i.test(String(error))) throw error
      }
      const end = performance.now()
      took.push(end - now)
      now = end
    }
  }
  await Promise.all(Array.from({ length: inFlight }, caller))
  return took
}

/** @param {import('./contestant.mjs').OpenContestant} contestant @param {string} prefix @param {number} count */
async function remember(contestant, prefix, count) {
  const keys = Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
  for (let from = 0; from < keys.length; from += 100) {
    await Promise.all(keys.slice(from, from + 100).map((key) => contestant.run(key, work)))
  }
  return keys
}
