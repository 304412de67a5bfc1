import { table } from '../lib/report.mjs'
import { median, number, pairedRatio, withRange } from '../lib/statistics.mjs'

/**
 * @typedef {import('./compare.mjs').PairsSample} PairsSample
 * @typedef {import('./compare.mjs').WaitersSample} WaitersSample
 * @typedef {import('./compare.mjs').LeasesSample} LeasesSample
 */

/** The goals that were set before anything was built: handoffs per second, and commands of each. */
const TARGETS = [
  { on: ['ioredis', 'node-redis'], suffix: ', not handed over inside', atLeast: 650, atMost: 7 },
  { on: ['ioredis', 'node-redis'], suffix: '', atLeast: 850, atMost: 1 },
]

/**
 * @param {ReadonlyMap<number, ReadonlyMap<string, readonly WaitersSample[]>>} waiters
 * @param {string} note What whoever reads this has to know; empty for nothing.
 */
export function targetsOf(waiters, note) {
  const rows = TARGETS.flatMap(({ on, suffix, atLeast, atMost }) =>
    on.flatMap((client) =>
      [...waiters].map(([count, byName]) => {
        const name = `onceward, ${client}${suffix}`
        const samples = byName.get(name) ?? []
        const rate = median(samples.map((sample) => sample.rate))
        const commands = median(samples.map((sample) => sample.commands))
        return [
          `${name}, ${count} waiters`,
          `${atLeast} and ${atMost === 1 ? 'under' : 'at most'} ${atMost}`,
          samples.length === 0 ? 'not measured' : `${number(rate)} and ${number(commands, 2)}`,
          samples.length === 0 ? '' : rate >= atLeast && commands <= atMost ? 'met' : 'missed',
        ]
      }),
    ),
  )
  return [
    '## Targets',
    ...(note === '' ? [] : [note]),
    table(['handoffs/s and commands of each', 'at least and at most', 'measured', ''], rows),
  ].join('\n\n')
}

/** @param {ReadonlyMap<number, ReadonlyMap<string, readonly PairsSample[]>>} pairs */
export function pairsPart(pairs) {
  const rows = [...pairs].flatMap(([inFlight, byName]) => {
    const floor = byName.values().next().value ?? []
    return [...byName].map(([name, samples]) => [
      inFlight,
      name,
      withRange(of(samples, 'rate')),
      `${pairedRatio(of(samples, 'rate'), of(floor, 'rate')).toFixed(2)} ×`,
      number(median(of(samples, 'p50')), 2),
      number(median(of(samples, 'p99')), 2),
      number(median(of(samples, 'cpuUs')), 1),
      known(median(of(samples, 'trips')), 2),
      known(median(of(samples, 'commands')), 1),
    ])
  })
  return [
    '## Nobody else wants it: acquire and release',
    'Each pair has a key of its own. Commands are those of Redis, inside of scripts too.',
    table(
      [
        'in flight',
        'contestant',
        'pairs/s',
        'ratio',
        'p50 ms',
        'p99 ms',
        'client CPU µs',
        'round trips',
        'commands',
      ],
      rows,
    ),
  ].join('\n\n')
}

/** @param {ReadonlyMap<number, ReadonlyMap<string, readonly WaitersSample[]>>} waiters */
export function waitersPart(waiters) {
  const rows = [...waiters].flatMap(([count, byName]) =>
    [...byName].map(([name, samples]) => [
      count,
      name,
      withRange(of(samples, 'rate')),
      known(median(of(samples, 'commands')), 2),
      known(median(of(samples, 'trips')), 2),
      `${number(total(samples, 'served'))} of ${number(total(samples, 'asked'))}`,
      number(total(samples, 'overlaps')),
    ]),
  )
  return [
    '## Many want it: each of them holds it once, for 1 ms',
    'All begin at the same moment, one half in each of two processes; who has held it does not come back. A timer of 1 ms ' +
      'takes a little longer, so about 870 a second are the most that can be inside of a process, and from one to the other as ' +
      'many as the turn that is only a message.',
    table(
      [
        'waiters',
        'contestant',
        'handoffs/s',
        'commands of each',
        'round trips of each',
        'served',
        'two at once',
      ],
      rows,
    ),
  ].join('\n\n')
}

/** @param {ReadonlyMap<string, LeasesSample>} leases @param {{ leases: number, keepMs: number }} options */
export function leasesPart(leases, options) {
  const rows = [...leases].map(([name, { cpuMs, commands, trips }]) => [
    name,
    number(cpuMs, 1),
    known(trips, 1),
    known(commands),
  ])
  return [
    `## One process keeps ${number(options.leases)} leases`,
    `Each holds for ${number(options.keepMs / 1000)} s, and that is how long this was measured. Each library extends by its own ` +
      'rules: ours after every third of the time, redis-semaphore after four fifths of it, and the redlocks half a second before ' +
      'its end. Locks in etcd are left out: each is renewed by a request of its own.',
    table(['contestant', 'client CPU, ms a second', 'round trips a second', 'commands a second'], rows),
  ].join('\n\n')
}

/** What went wrong, and for whom. */
export function mishapsPart(
  /** @type {ReadonlyMap<string, import('./worker.mjs').AllMishaps>} */ mishaps,
  /** @type {ReadonlyMap<number, ReadonlyMap<string, readonly WaitersSample[]>>} */ waiters,
) {
  const rows = [...mishaps].map(([name, { lost, failed, rejections }]) => {
    const all = [...waiters.values()].flatMap((byName) => byName.get(name) ?? [])
    const unserved = total(all, 'asked') - total(all, 'served')
    return [name, total(all, 'overlaps'), unserved, lost, failed, rejections]
  })
  return [
    '## What went wrong',
    table(
      ['contestant', 'two at once', 'not served', 'leases lost', 'renewals failed', 'unhandled rejections'],
      rows,
    ),
  ].join('\n\n')
}

/** @template {Record<string, number>} Sample @param {readonly Sample[]} samples @param {keyof Sample} field */
function of(samples, field) {
  return samples.map((sample) => /** @type {number} */ (sample[field]))
}

/** @template {Record<string, number>} Sample @param {readonly Sample[]} samples @param {keyof Sample} field */
function total(samples, field) {
  return of(samples, field).reduce((sum, value) => sum + value, 0)
}

/** @param {number} value @param {number} [digits] */
function known(value, digits = 0) {
  return Number.isNaN(value) ? '' : number(value, digits)
}
