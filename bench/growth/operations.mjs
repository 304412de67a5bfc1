import { operationId } from 'onceward'
import { LEASE_MS, RECEIPT, RETENTION_MS } from '../stores/contestant.mjs'

/** @typedef {import('./connect.mjs').Store} Store */

export const SCOPE = 'bench'
const VALUE = new TextEncoder().encode(JSON.stringify(RECEIPT))
let owners = 0

/** Asks for the right to run. @param {Store} store @param {string} key @param {number} [retentionMs] */
export function claim(store, key, retentionMs = RETENTION_MS) {
  owners += 1
  return store.claim({
    id: operationId(SCOPE, key),
    owner: `owner-${process.pid}-${owners}`.padEnd(24, 'o'),
    leaseMs: LEASE_MS,
    retentionMs,
    onCrash: 'hold',
  })
}

/** Claims and completes an operation that is new. @param {Store} store @param {string} key @param {number} [retentionMs] */
export async function runOnce(store, key, retentionMs = RETENTION_MS) {
  const reply = await claim(store, key, retentionMs)
  if (reply.state !== 'claimed') throw new Error(`${key} is ${reply.state} already`)
  if (!(await store.complete(reply.claim, { kind: 'value', value: VALUE }, retentionMs)))
    throw new Error(`the claim of ${key} was lost`)
}

/** Asks for an operation that has ended. @param {Store} store @param {string} key */
export async function replay(store, key) {
  const { state } = await claim(store, key)
  if (state !== 'done') throw new Error(`${key} is ${state}, not done`)
}

/**
 * Does something for each number from `from` up to, and without, `to`, so many at once.
 *
 * @param {number} from @param {number} to @param {number} atOnce @param {(index: number) => Promise<unknown>} work
 */
export async function forEach(from, to, atOnce, work) {
  let next = from
  const worker = async () => {
    while (next < to) await work(next++)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/**
 * Keeps `inFlight` calls on their way for `ms`.
 *
 * @param {number} inFlight @param {number} ms @param {(caller: number) => Promise<unknown>} call
 * @returns {Promise<number>} Calls per second.
 */
export async function ratePerSecond(inFlight, ms, call) {
  const started = performance.now()
  const until = started + ms
  let count = 0
  const caller = async (/** @type {number} */ index) => {
    while (performance.now() < until) {
      await call(index)
      count += 1
    }
  }
  await Promise.all(Array.from({ length: inFlight }, (_, index) => caller(index)))
  return (count * 1000) / (performance.now() - started)
}
