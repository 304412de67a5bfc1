// One process of a contestant: does what it is told over IPC, and says what came of it.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { contestantOf } from './contestants.mjs'
import { measurePairs, takeTurns } from './measure.mjs'

/**
 * @typedef {{ do: 'open', name: string, url: string, ttlMs: number }
 *   | { do: 'pairs', inFlight: number, ms: number }
 *   | { do: 'turns', key: string, waiters: number, holdMs: number, at: number }
 *   | { do: 'keep', leases: number }
 *   | { do: 'rest', ms: number }
 *   | { do: 'drop' } | { do: 'trips' } | { do: 'mishaps' } | { do: 'close' }} Order
 * @typedef {import('./contestant.mjs').Mishaps & { rejections: number }} AllMishaps
 */

/** So many leases are taken at once. */
const TAKEN_AT_ONCE = 64

/** @type {import('./contestant.mjs').OpenLocks | undefined} */
let open
/** @type {import('./contestant.mjs').HeldKey[]} */
let kept = []
let rejections = 0

process.on('unhandledRejection', () => {
  rejections += 1
})
process.on('disconnect', () => process.exit(0))
process.send?.({ said: 'started' })
for (;;) {
  const [order] = /** @type {[Order]} */ (await once(process, 'message'))
  try {
    process.send?.({ said: await obey(order) })
  } catch (error) {
    process.send?.({ failed: error instanceof Error ? error.stack : String(error) })
  }
}

/** @param {Order} order @returns {Promise<unknown>} */
async function obey(order) {
  if (order.do === 'open') {
    open = await contestantOf(order.name).open(order.url, order.ttlMs)
    return undefined
  }
  if (!open) throw new Error('open comes first')
  if (order.do === 'pairs') return measurePairs(open, order.inFlight, order.ms)
  if (order.do === 'turns') return takeTurns(open, order)
  if (order.do === 'keep') return keep(open, order.leases)
  if (order.do === 'rest') return rest(order.ms)
  if (order.do === 'trips') return open.trips?.()
  if (order.do === 'mishaps') return { ...open.mishaps, rejections }
  if (order.do === 'drop') {
    await Promise.all(kept.map((held) => held.release()))
    kept = []
    return undefined
  }
  await open.close()
  open = undefined
  return undefined
}

/** @param {import('./contestant.mjs').OpenLocks} locks @param {number} leases */
async function keep({ keep: take, acquire }, leases) {
  let count = 0
  const caller = async () => {
    while (count < leases) {
      count += 1
      kept.push(await (take ?? acquire)(`kept-${count}`))
    }
  }
  await Promise.all(Array.from({ length: TAKEN_AT_ONCE }, caller))
}

/** What this process uses while it does nothing but hold. @param {number} ms */
async function rest(ms) {
  const cpu = process.cpuUsage()
  const began = performance.now()
  await sleep(ms)
  const { user, system } = process.cpuUsage(cpu)
  const tookMs = performance.now() - began
  return { tookMs, cpuMs: (user + system) / 1000 }
}
