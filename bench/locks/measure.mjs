import { setTimeout as sleep } from 'node:timers/promises'
import { ascending, quantile } from '../lib/statistics.mjs'

/**
 * @typedef {import('./contestant.mjs').OpenLocks} OpenLocks
 * @typedef {{ pairs: number, rate: number, p50: number, p99: number, cpuUs: number }} Pairs
 * @typedef {{ start: number, end: number, fence?: number | undefined }} Hold On the clock that all processes share, in ms.
 * @typedef {{ holds: Hold[], errors: string[] }} Turns
 */

let next = 0

/**
 * Takes and gives back locks that nobody else wants.
 *
 * @param {OpenLocks} locks
 * @param {number} inFlight
 * @param {number} ms
 * @returns {Promise<Pairs>}
 */
export async function measurePairs(locks, inFlight, ms) {
  /** @type {number[]} */
  const times = []
  const cpu = process.cpuUsage()
  const began = performance.now()
  const until = began + ms
  const caller = async () => {
    for (;;) {
      const sentAt = performance.now()
      if (sentAt >= until) return
      const held = await locks.acquire(`own-${process.pid}-${next++}`)
      await held.release()
      times.push(performance.now() - sentAt)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, caller))
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const sorted = Float64Array.from(times).sort(ascending)
  return {
    pairs: times.length,
    rate: times.length / seconds,
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    cpuUs: (user + system) / times.length,
  }
}

/**
 * Lets many callers ask for one key at the same moment; each holds it once.
 *
 * @param {OpenLocks} locks
 * @param {object} order
 * @param {string} order.key
 * @param {number} order.waiters
 * @param {number} order.holdMs
 * @param {number} order.at When they begin, on the shared clock in ms.
 * @returns {Promise<Turns>}
 */
export async function takeTurns(locks, { key, waiters, holdMs, at }) {
  await sleep(Math.max(0, at - sharedNow()))
  /** @type {Hold[]} */
  const holds = []
  /** @type {string[]} */
  const errors = []
  const caller = async () => {
    try {
      const held = await locks.acquire(key)
      const start = sharedNow()
      await sleep(holdMs)
      // Before it is given back: what comes after may be somebody else's time.
      const end = sharedNow()
      holds.push({ start, end, fence: held.fence })
      await held.release()
    } catch (error) {
      errors.push(String(error).slice(0, 200))
    }
  }
  await Promise.all(Array.from({ length: waiters }, caller))
  return { holds, errors }
}

/** The monotonic clock of this machine, which all of its processes read alike, in ms. */
export function sharedNow() {
  return Number(process.hrtime.bigint()) / 1e6
}
