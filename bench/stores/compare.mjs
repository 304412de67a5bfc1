import { interleave } from '../lib/interleave.mjs'
import { table } from '../lib/report.mjs'
import { median, number, pairedRatio, withRange } from '../lib/statistics.mjs'
import { targetsPart } from '../lib/targets.mjs'
import { ContestantProcess } from './contestant-process.mjs'
import { effectsOfDuplicates } from './duplicates.mjs'
import { KINDS } from './measure.mjs'

const TITLES = {
  fresh: 'Fresh: each key is new',
  replay: 'Replay: each key has ended before',
  storm: 'Storm: twenty callers of each new key at once',
}

const HEAD = [
  'in flight',
  'contestant',
  'operations/s',
  'ratio',
  'p50 ms',
  'p99 ms',
  'client CPU µs',
  'round trips',
]

/**
 * @typedef {import('./measure.mjs').Kind} Kind
 * @typedef {import('./measure.mjs').Sample} Sample
 * @typedef {{ kind: Kind, at: number, contestant: string, atLeast: number }} StoreTarget
 */

/**
 * Measures every contestant, interleaved, and writes the tables.
 *
 * @param {object} what
 * @param {string} what.module The module that exports `contestants`, for the processes of the duplicates check.
 * @param {readonly import('./contestant.mjs').Contestant[]} what.contestants The first one is the floor.
 * @param {string} what.url
 * @param {() => Promise<number>} what.trips How many round trips the server has seen so far, where the module cannot count them.
 * @param {() => Promise<void>} what.clear Empties the server between rounds.
 * @param {readonly number[]} what.inFlight
 * @param {readonly Kind[]} [what.kinds] Default: all.
 * @param {readonly StoreTarget[]} [what.targets]
 * @param {number} what.rounds
 * @param {number} what.ms
 * @returns {Promise<string[]>} Parts of a report.
 */
export async function compare(what) {
  const { contestants, inFlight, rounds, kinds = KINDS, targets = [] } = what
  /** @type {Map<string, number>} */
  const effects = new Map()
  for (const { name } of contestants)
    effects.set(name, await effectsOfDuplicates(what.module, name, what.url))
  const honest = contestants.filter(({ name }) => effects.get(name) === 1)
  const floor = contestants[0]?.name ?? ''
  if (honest[0]?.name !== floor) throw new Error(`${floor} had ${effects.get(floor)} effects for one key`)
  const measured = new Results(floor)
  /** @type {Map<string, ContestantProcess>} */
  const processes = new Map()
  try {
    for (const { name } of honest) {
      const child = new ContestantProcess(what.module, name, what.url, what.trips)
      processes.set(name, child)
      await child.warmUp()
    }
    for (const kind of kinds) {
      const able = honest.filter((one) => one.kinds?.includes(kind) ?? true).map(({ name }) => name)
      for (const callers of inFlight) {
        const samples = await interleave(able, rounds, async (name) => {
          await what.clear()
          const child = /** @type {ContestantProcess} */ (processes.get(name))
          return child.measure({ kind, inFlight: callers, ms: what.ms })
        })
        measured.add(kind, callers, samples)
        console.error(`${kind} at ${callers}: measured`)
      }
    }
  } finally {
    for (const child of processes.values()) await child.stop()
  }
  const most = inFlight.filter((callers) => callers > 1)
  return [
    duplicatesPart(effects),
    '## In short',
    measured.short(
      honest.map(({ name }) => name),
      kinds.flatMap((kind) => (kind === 'storm' ? most.slice(0, 1) : most).map((at) => ({ kind, at }))),
    ),
    ...(targets.length === 0 ? [] : [targetsPart(targets.map((target) => measured.target(target)))]),
    ...kinds.flatMap((kind) => [`## ${TITLES[kind]}`, measured.whole(kind, inFlight)]),
  ]
}

/** What was measured, by kind and callers in flight. */
class Results {
  /** @type {string} */ #floor
  /** @type {Map<string, Map<string, Sample[]>>} */ #samples = new Map()

  /** @param {string} floor */
  constructor(floor) {
    this.#floor = floor
  }

  /** @param {Kind} kind @param {number} at @param {Map<string, Sample[]>} samples */
  add(kind, at, samples) {
    this.#samples.set(`${kind} ${at}`, samples)
  }

  /** @param {Kind} kind @param {number} at @param {string} name @param {keyof Sample} field */
  #of(kind, at, name, field) {
    return (this.#samples.get(`${kind} ${at}`)?.get(name) ?? []).map((sample) => sample[field])
  }

  /** @param {Kind} kind @param {number} at @param {string} name */
  #ratio(kind, at, name) {
    return pairedRatio(this.#of(kind, at, name, 'rate'), this.#of(kind, at, this.#floor, 'rate'))
  }

  /** @param {StoreTarget} target @returns {import('../lib/targets.mjs').Target} */
  target({ kind, at, contestant, atLeast }) {
    return {
      what: `${contestant}, ${kind}, ${at} in flight`,
      atLeast,
      measured: this.#ratio(kind, at, contestant),
    }
  }

  /** One row a contestant. @param {readonly string[]} names @param {readonly { kind: Kind, at: number }[]} columns */
  short(names, columns) {
    const rows = names.map((name) => [
      name,
      ...columns.map(({ kind, at }) => {
        const rates = this.#of(kind, at, name, 'rate')
        if (rates.length === 0) return ''
        return `${number(median(rates))} (${this.#ratio(kind, at, name).toFixed(2)} ×)`
      }),
    ])
    return table(['operations/s', ...columns.map(({ kind, at }) => `${kind}, ${at} in flight`)], rows)
  }

  /** Everything of one kind. @param {Kind} kind @param {readonly number[]} inFlight */
  whole(kind, inFlight) {
    const rows = inFlight.flatMap((at) =>
      [...(this.#samples.get(`${kind} ${at}`)?.keys() ?? [])].map((name) => [
        at,
        name,
        withRange(this.#of(kind, at, name, 'rate')),
        `${this.#ratio(kind, at, name).toFixed(2)} ×`,
        number(median(this.#of(kind, at, name, 'p50')), 2),
        number(median(this.#of(kind, at, name, 'p99')), 2),
        number(median(this.#of(kind, at, name, 'cpuUs')), 1),
        number(median(this.#of(kind, at, name, 'trips')), 3),
      ]),
    )
    return table(HEAD, rows)
  }
}

/** @param {Map<string, number>} effects */
function duplicatesPart(effects) {
  const rows = [...effects].map(([name, count]) => [name, count, count === 1 ? 'counts' : 'left out'])
  return [
    '## One key, a hundred times from two processes',
    table(['contestant', 'effects', 'its speed'], rows),
  ].join('\n\n')
}
