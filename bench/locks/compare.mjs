import { interleave } from '../lib/interleave.mjs'
import { TTL_MS } from './contestant.mjs'
import { judge } from './judge.mjs'
import { LockProcess } from './lock-process.mjs'
import { sharedNow } from './measure.mjs'
import { noLock } from './peers.mjs'
import { leasesPart, mishapsPart, pairsPart, targetsOf, waitersPart } from './tables.mjs'

/**
 * @typedef {import('./contestant.mjs').LockContestant} LockContestant
 * @typedef {import('./contestant.mjs').ServerName} ServerName
 * @typedef {import('./servers.mjs').LockServer} LockServer
 * @typedef {import('./worker.mjs').AllMishaps} AllMishaps
 * @typedef {{ rate: number, p50: number, p99: number, cpuUs: number, trips: number, commands: number }} PairsSample
 * @typedef {object} WaitersSample
 * @property {number} rate Handoffs per second.
 * @property {number} commands Of each handoff, those inside of scripts included.
 * @property {number} trips Of each handoff.
 * @property {number} asked
 * @property {number} served
 * @property {number} overlaps
 * @property {number} staleFences
 * @typedef {{ cpuMs: number, commands: number, trips: number }} LeasesSample Each for a second.
 * @typedef {{ rounds: number, ms: number, keepMs: number, leases: number, note: string }} LockOptions
 */

export const IN_FLIGHT = [1, 64]
export const WAITERS = [50, 200]
const HOLD_MS = 1

/** So long each contestant takes locks, and hands one on, before anything of it counts, so that its code is compiled, in ms. */
const WARM_UP_MS = 1500

let batch = 0

/**
 * Measures every contestant and writes the parts of a report.
 *
 * @param {readonly LockContestant[]} contestants The first one is the floor.
 * @param {ReadonlyMap<ServerName, LockServer>} servers
 * @param {LockOptions} options
 * @returns {Promise<string[]>}
 */
export async function compareLocks(contestants, servers, options) {
  await proveTheJudge(servers)
  const able = (/** @type {import('./contestant.mjs').Kind} */ kind) =>
    contestants.filter(({ kinds }) => kinds?.includes(kind) ?? true)
  /** @type {Map<string, AllMishaps>} */
  const mishaps = new Map(contestants.map(({ name }) => [name, { lost: 0, failed: 0, rejections: 0 }]))
  /** @type {Map<string, LockProcess[]>} */
  const processes = new Map()
  /** @type {Map<number, Map<string, PairsSample[]>>} */
  const pairs = new Map()
  /** @type {Map<number, Map<string, WaitersSample[]>>} */
  const waiters = new Map()
  try {
    await Promise.all(
      contestants.map(async ({ name, server }) => {
        const own = [await open(name, server, servers)]
        processes.set(name, own)
        own.push(await open(name, server, servers))
      }),
    )
    for (const { name } of able('pairs'))
      await processes.get(name)?.[0]?.tell({ do: 'pairs', inFlight: 64, ms: WARM_UP_MS })
    for (const inFlight of IN_FLIGHT) {
      const samples = await interleave(namesOf(able('pairs')), options.rounds, (name) => {
        const [process] = /** @type {LockProcess[]} */ (processes.get(name))
        return pairsOf(/** @type {LockProcess} */ (process), serverOf(name), inFlight, options.ms)
      })
      pairs.set(inFlight, samples)
      console.error(`pairs, ${inFlight} in flight: measured`)
    }
    for (const { name } of able('waiters'))
      await waitersOf(/** @type {LockProcess[]} */ (processes.get(name)), serverOf(name), 50, WARM_UP_MS)
    for (const count of WAITERS) {
      const samples = await interleave(namesOf(able('waiters')), options.rounds, (name) =>
        waitersOf(/** @type {LockProcess[]} */ (processes.get(name)), serverOf(name), count, options.ms),
      )
      waiters.set(count, samples)
      console.error(`${count} waiters: measured`)
    }
  } finally {
    for (const [name, own] of processes)
      for (const process of own) {
        const count = await process.tell({ do: 'mishaps' }).catch(() => undefined)
        if (count) add(mishaps, name, count)
        await process.stop()
      }
  }
  /** @type {Map<string, LeasesSample>} */
  const leases = new Map()
  for (const { name, server } of able('leases')) {
    leases.set(name, await leasesOf(name, /** @type {LockServer} */ (servers.get(server)), options, mishaps))
    console.error(`${name}, ${options.leases} leases: measured`)
  }
  const problems = wrongs(waiters, mishaps)
  if (problems.length > 0) throw new Error(`what must not be:\n${problems.join('\n')}`)
  return [
    targetsOf(waiters, options.note),
    pairsPart(pairs),
    waitersPart(waiters),
    leasesPart(leases, options),
    mishapsPart(mishaps, waiters),
  ]

  /** @param {string} name */
  function serverOf(name) {
    const server = contestants.find((one) => one.name === name)?.server ?? 'redis'
    return /** @type {LockServer} */ (servers.get(server))
  }
}

/** @param {string} name @param {ServerName} server @param {ReadonlyMap<ServerName, LockServer>} servers */
function open(name, server, servers) {
  return LockProcess.open(name, /** @type {LockServer} */ (servers.get(server)).url, TTL_MS)
}

/** @param {readonly LockContestant[]} contestants */
function namesOf(contestants) {
  return contestants.map(({ name }) => name)
}

/** What is counted while `work` is done: by the processes where they can, by the server where not. */
async function counted(
  /** @type {readonly LockProcess[]} */ processes,
  /** @type {LockServer} */ server,
  /** @type {() => Promise<unknown>} */ work,
) {
  const look = async () => {
    const own = await Promise.all(processes.map((process) => process.tell({ do: 'trips' })))
    const { trips = Number.NaN, commands = Number.NaN } = await server.counts()
    const sent = own.every((count) => count === undefined)
      ? trips
      : own.reduce((sum, count) => sum + Number(count), 0)
    return { trips: sent, commands }
  }
  const before = await look()
  await work()
  const after = await look()
  return { trips: after.trips - before.trips, commands: after.commands - before.commands }
}

/** @returns {Promise<PairsSample>} */
async function pairsOf(
  /** @type {LockProcess} */ process,
  /** @type {LockServer} */ server,
  /** @type {number} */ inFlight,
  /** @type {number} */ ms,
) {
  /** @type {import('./measure.mjs').Pairs | undefined} */
  let measured
  const { trips, commands } = await counted([process], server, async () => {
    measured = await process.tell({ do: 'pairs', inFlight, ms })
  })
  const { pairs, ...sample } = /** @type {import('./measure.mjs').Pairs} */ (
    /** @type {unknown} */ (measured)
  )
  return { ...sample, trips: trips / pairs, commands: commands / pairs }
}

/** @returns {Promise<WaitersSample>} */
async function waitersOf(
  /** @type {readonly LockProcess[]} */ processes,
  /** @type {LockServer} */ server,
  /** @type {number} */ waiters,
  /** @type {number} */ ms,
) {
  // Whoever subscribes does so before anything counts.
  await oneBatch(processes, 10)
  /** @type {import('./measure.mjs').Turns[]} */
  const batches = []
  let tookMs = 0
  const { trips, commands } = await counted(processes, server, async () => {
    while (tookMs < ms) {
      const turns = await oneBatch(processes, waiters)
      batches.push(turns)
      tookMs += lastEnd(turns) - turns.at
    }
  })
  const served = batches.reduce((sum, { holds }) => sum + holds.length, 0)
  for (const error of new Set(batches.flatMap(({ errors }) => errors))) console.error(error)
  const verdicts = batches.map(({ holds }) => judge(holds))
  return {
    rate: (served / tookMs) * 1000,
    commands: commands / served,
    trips: trips / served,
    asked: waiters * batches.length,
    served,
    overlaps: verdicts.reduce((sum, { overlaps }) => sum + overlaps, 0),
    staleFences: verdicts.reduce((sum, { staleFences }) => sum + staleFences, 0),
  }
}

/** @param {readonly LockProcess[]} processes @param {number} waiters @returns {Promise<import('./measure.mjs').Turns & { at: number }>} */
async function oneBatch(processes, waiters) {
  const key = `shared-${batch++}`
  const at = sharedNow() + 20
  const parts = await Promise.all(
    processes.map((process) =>
      process.tell({ do: 'turns', key, waiters: waiters / processes.length, holdMs: HOLD_MS, at }),
    ),
  )
  return {
    at,
    holds: parts.flatMap(({ holds }) => holds),
    errors: parts.flatMap(({ errors }) => errors),
  }
}

/** @param {import('./measure.mjs').Turns} turns */
function lastEnd({ holds }) {
  return Math.max(...holds.map(({ end }) => end))
}

/** @returns {Promise<LeasesSample>} */
async function leasesOf(
  /** @type {string} */ name,
  /** @type {LockServer} */ server,
  /** @type {LockOptions} */ { leases, keepMs },
  /** @type {Map<string, AllMishaps>} */ mishaps,
) {
  const process = await LockProcess.open(name, server.url, keepMs)
  try {
    await process.tell({ do: 'keep', leases })
    /** @type {{ tookMs: number, cpuMs: number } | undefined} */
    let used
    const { trips, commands } = await counted([process], server, async () => {
      used = await process.tell({ do: 'rest', ms: keepMs })
    })
    add(mishaps, name, await process.tell({ do: 'mishaps' }))
    await process.tell({ do: 'drop' })
    const { tookMs, cpuMs } = /** @type {{ tookMs: number, cpuMs: number }} */ (/** @type {unknown} */ (used))
    const seconds = tookMs / 1000
    return { cpuMs: cpuMs / seconds, commands: commands / seconds, trips: trips / seconds }
  } finally {
    await process.stop()
  }
}

/** A judge that finds nothing where nothing is locked is none. @param {ReadonlyMap<ServerName, LockServer>} servers */
async function proveTheJudge(servers) {
  const server = /** @type {LockServer} */ (servers.get(noLock.server))
  const processes = [
    await LockProcess.open(noLock.name, server.url, TTL_MS),
    await LockProcess.open(noLock.name, server.url, TTL_MS),
  ]
  try {
    const { holds } = await oneBatch(processes, 50)
    if (judge(holds).overlaps === 0) throw new Error('the judge finds nobody out who locks nothing')
  } finally {
    for (const process of processes) await process.stop()
  }
}

/** @param {Map<string, AllMishaps>} mishaps @param {string} name @param {AllMishaps} more */
function add(mishaps, name, more) {
  const sum = /** @type {AllMishaps} */ (mishaps.get(name))
  mishaps.set(name, {
    lost: sum.lost + more.lost,
    failed: sum.failed + more.failed,
    rejections: sum.rejections + more.rejections,
  })
}

/** What ends the run: it must not happen to us. */
function wrongs(
  /** @type {ReadonlyMap<number, ReadonlyMap<string, readonly WaitersSample[]>>} */ waiters,
  /** @type {ReadonlyMap<string, AllMishaps>} */ mishaps,
) {
  const ours = (/** @type {string} */ name) => name.startsWith('onceward')
  const wrong = []
  for (const [count, byName] of waiters)
    for (const [name, samples] of byName)
      for (const { asked, served, overlaps, staleFences } of samples)
        if (ours(name) && (served !== asked || overlaps > 0 || staleFences > 0))
          wrong.push(
            `${name}, ${count} waiters: ${served} of ${asked} served, ${overlaps} at once, ${staleFences} old fences`,
          )
  for (const [name, { lost, failed, rejections }] of mishaps)
    if (ours(name) && lost + failed + rejections > 0)
      wrong.push(`${name}: ${lost} lost, ${failed} failed, ${rejections} unhandled rejections`)
  return wrong
}
