// What an operation costs when many are stored: 10^4, 10^5 and 10^6, and with --full 10^7.
// Run: node bench/growth/run.mjs [--store postgres] [--rounds 3] [--ms 400] [--most 1000000] [--full] (after a build)
import { readOptions, withFolder } from '../lib/options.mjs'
import { report, table } from '../lib/report.mjs'
import { median, number } from '../lib/statistics.mjs'
import { connect } from './connect.mjs'
import { fill, oldKey } from './fill.mjs'
import { claim, forEach, ratePerSecond, replay, runOnce } from './operations.mjs'
import { chosenStores, startServer } from './servers.mjs'

const IN_FLIGHT = 64
const PURGE_BATCH = 1000

const options = readOptions({ store: '', rounds: 3, ms: 400, most: 1e6, full: false })
const most = options.full ? 1e7 : options.most
const sizes = [1e4, 1e5, 1e6, 1e7].filter((size) => size <= most)
let fresh = 0

for (const name of chosenStores(options.store)) {
  await withFolder(async (folder) => {
    const server = await startServer(name, folder)
    const { store, close } = await connect(name, server.url)
    try {
      const rows = []
      for (const [index, size] of sizes.entries()) {
        const started = performance.now()
        await fill(name, store, server, sizes[index - 1] ?? 0, size)
        console.error(
          `${name}: ${number(size)} stored after ${number((performance.now() - started) / 1000, 1)} s`,
        )
        // The first time the code is not compiled yet.
        if (index === 0) await costsAt(store, size)
        const costs = []
        for (let round = 0; round < options.rounds; round += 1) costs.push(await costsAt(store, size))
        rows.push([number(size), ...cells(costs)])
      }
      report(`growth-${name}`, `Growth of ${name}`, [
        `${server.about}; one client process, ${IN_FLIGHT} calls in flight; medians of ${options.rounds} rounds of ` +
          `${options.ms} ms at each size. Replays are of any of the stored operations. Purge is the time for a batch of ` +
          `${number(PURGE_BATCH)} expired records; list is the first page of 100, of all and of the held ones.`,
        '## By stored operations',
        table(
          [
            'stored',
            'claim + complete /s',
            'replay /s',
            'renew /s',
            'purge ms',
            'list ms',
            'list held ms',
            'stats ms',
          ],
          rows,
        ),
      ])
    } finally {
      await close()
      await server.stop()
    }
  })
}

/** @param {import('./connect.mjs').Store} store @param {number} size */
async function costsAt(store, size) {
  const freshRate = await ratePerSecond(IN_FLIGHT, options.ms, () => runOnce(store, `fresh-${fresh++}`))
  const replayRate = await ratePerSecond(IN_FLIGHT, options.ms, () =>
    replay(store, oldKey(Math.floor(Math.random() * size))),
  )
  const claims = await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      const reply = await claim(store, `running-${fresh++}`)
      if (reply.state !== 'claimed') throw new Error(`a new key is ${reply.state}`)
      return reply.claim
    }),
  )
  const renewRate = await ratePerSecond(IN_FLIGHT, options.ms, async (caller) => {
    const own = claims[caller]
    if (own === undefined || !(await store.renew(own, 30_000)))
      throw new Error('a running claim was not renewed')
  })
  await Promise.all(claims.map((own) => store.release(own)))
  return {
    fresh: freshRate,
    replay: replayRate,
    renew: renewRate,
    purge: await purgeMs(store),
    list: await tookMs(5, () => store.list({ limit: 100 })),
    listHeld: await tookMs(5, () => store.list({ limit: 100, state: 'held' })),
    stats: await tookMs(1, () => store.stats()),
  }
}

/** Expires some records, then removes them. @param {import('./connect.mjs').Store} store */
async function purgeMs(store) {
  await forEach(0, 2 * PURGE_BATCH, 256, () => runOnce(store, `short-${fresh++}`, 1))
  let removed = 0
  const started = performance.now()
  while (removed < 2 * PURGE_BATCH) {
    const now = await store.purge(PURGE_BATCH)
    if (now === 0) break
    removed += now
  }
  // Redis forgets by itself; then its purge has less to do.
  return ((performance.now() - started) * PURGE_BATCH) / Math.max(removed, PURGE_BATCH)
}

/** @param {number} times @param {() => Promise<unknown>} call */
async function tookMs(times, call) {
  const started = performance.now()
  for (let time = 0; time < times; time += 1) await call()
  return (performance.now() - started) / times
}

/** @param {readonly Awaited<ReturnType<typeof costsAt>>[]} costs */
function cells(costs) {
  const of = (/** @type {keyof Awaited<ReturnType<typeof costsAt>>} */ field) =>
    median(costs.map((cost) => cost[field]))
  const rates = /** @type {const} */ (['fresh', 'replay', 'renew']).map((field) => number(of(field)))
  const times = /** @type {const} */ (['purge', 'list', 'listHeld', 'stats']).map((field) =>
    number(of(field), 1),
  )
  return [...rates, ...times]
}
