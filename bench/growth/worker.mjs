// One of many processes on one store: does what it is told over IPC, and says what came of it.
import { once as nextEvent } from 'node:events'
import { createOnce } from 'onceward'
import { work } from '../stores/contestant.mjs'
import { connect } from './connect.mjs'
import { ratePerSecond } from './operations.mjs'

/**
 * @typedef {{ do: 'open', name: import('./connect.mjs').StoreName, url: string }
 *   | { do: 'run', shared: string, callers: number, ms: number } | { do: 'close' }} WorkerOrder
 * @typedef {{ perSecond: number, effects: number, refused: number, reasons: string[] }} WorkerTally
 */

/** Few connections each: sixty-four processes share the server. */
const CONNECTIONS = 3

/** @type {{ once: import('onceward').Once, close(): Promise<void> } | undefined} */
let open
let next = 0

process.on('disconnect', () => process.exit(0))
process.send?.('started')
for (;;) {
  const [order] = /** @type {[WorkerOrder]} */ (await nextEvent(process, 'message'))
  try {
    process.send?.(await obey(order))
  } catch (error) {
    process.send?.({ failed: error instanceof Error ? error.stack : String(error) })
  }
}

/** @param {WorkerOrder} order */
async function obey(order) {
  if (order.do === 'run') return run(order)
  if (order.do === 'close') {
    await open?.once.close()
    await open?.close()
    return 'closed'
  }
  const { store, close } = await connect(order.name, order.url, CONNECTIONS)
  open = { once: createOnce({ store, scope: 'bench', cache: false }), close }
  return 'open'
}

/** @param {Extract<WorkerOrder, { do: 'run' }>} order @returns {Promise<WorkerTally>} */
async function run({ shared, callers, ms }) {
  const { once } = /** @type {NonNullable<typeof open>} */ (open)
  let effects = 0
  let refused = 0
  /** @type {Set<string>} */
  const reasons = new Set()
  const call = async (/** @type {string} */ key, /** @type {() => unknown} */ fn) => {
    try {
      await once.run({ key, waitMs: 30_000 }, fn)
    } catch (error) {
      refused += 1
      reasons.add(String(error).slice(0, 200))
    }
  }
  const sharedCalls = Promise.all(
    Array.from({ length: callers }, () =>
      call(shared, () => {
        effects += 1
        return effects
      }),
    ),
  )
  const perSecond = await ratePerSecond(callers, ms, () => call(`own-${process.pid}-${next++}`, work))
  await sharedCalls
  return { perSecond, effects, refused, reasons: [...reasons] }
}
