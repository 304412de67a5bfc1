// node worker.mjs STORE URL MS: runs once.run with new keys, and tells the parent where its CPU time went.
import { Session } from 'node:inspector/promises'
import { createOnce } from 'onceward'
import { connect } from '../growth/connect.mjs'
import { ratePerSecond } from '../growth/operations.mjs'
import { work } from '../stores/contestant.mjs'

const IN_FLIGHT = 64
const WARM_UP_MS = 2000

const [name = '', url = '', ms = ''] = process.argv.slice(2)
const { store, close } = await connect(/** @type {import('../growth/connect.mjs').StoreName} */ (name), url)
const once = createOnce({ store, scope: 'bench', cache: false })
let next = 0
const run = () => {
  const key = `order-${next++}`
  return once.run({ key, input: { order: key, amount: 4200 } }, () => work())
}
await ratePerSecond(IN_FLIGHT, WARM_UP_MS, run)

const session = new Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.setSamplingInterval', { interval: 200 })
await session.post('Profiler.start')
const cpuBefore = process.cpuUsage()
const startedAt = performance.now()
const perSecond = await ratePerSecond(IN_FLIGHT, Number(ms), run)
const seconds = (performance.now() - startedAt) / 1000
const { user, system } = process.cpuUsage(cpuBefore)
const { profile } = await session.post('Profiler.stop')
session.disconnect()
await once.close()
await close()
const answer = { perSecond, cpuShare: (user + system) / 1e6 / seconds, profile }
// Disconnected at once, a message that is large is lost.
process.send?.(answer, () => process.disconnect())
