/**
 * Measures what is lost where loss is documented: replication that lags, commits that are not waited for. Whatever does
 * not depend on what was lost is still held to its promises.
 *
 * Exit codes: 0 when every lane has shown its loss and kept the rest, 1 otherwise, 2 for wrong use.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Backend } from './backend.ts'
import { LOSSY_BACKENDS, startBackend } from './backends.ts'
import { runCampaign } from './harness/campaign.ts'
import { runOnStores } from './harness/command-line.ts'
import { DEFAULT_LIBRARY } from './library.ts'
import { paceNow } from './pace.ts'
import { STORES, type StoreTrials } from './store-lane.ts'
import { startStoreSink } from './store-sink.ts'
import { ROOT } from './test-servers.ts'
import { workerPool } from './worker-pool.ts'

const USAGE = `node verify/faults/dist/faults/run-losses.js [options]
  --trials N      how many trials on each store (40)
  --seed S        the seed of the first (1)
  --store A,B     which (all): ${Object.keys(LOSSY_BACKENDS).join(', ')}
  --width N       how many trials run side by side (2)
  --require-all   fail where a server cannot be had here, instead of skipping it`

// Node.js 20 sometimes goes round in circles when it ends by itself while sockets are being closed.
process.exit(await main())

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      trials: { type: 'string', default: '40' },
      seed: { type: 'string', default: '1' },
      width: { type: 'string', default: '2' },
      store: { type: 'string', default: Object.keys(LOSSY_BACKENDS).join(',') },
      'require-all': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const [trials = 0, from = 0, width = 0] = [values.trials, values.seed, values.width].map(Number)
  const stores = values.store.split(',')
  const wrong = [trials, from, width].some((number) => !Number.isSafeInteger(number) || number < 1)
  if (values.help || wrong || stores.some((name) => !(name in LOSSY_BACKENDS))) {
    console.log(USAGE)
    return values.help ? 0 : 2
  }
  console.log('| store | trials | acknowledged before | gone | second effects in hold | other violations |')
  console.log('| --- | --- | --- | --- | --- | --- |')
  const good = await runOnStores(
    { ...values, stores, library: join(ROOT, DEFAULT_LIBRARY) },
    startBackend,
    (backend, library) => measure(backend, library, { trials, from, width }),
    (store, why) => console.log(`| ${store} | skipped: ${why} |`),
  )
  return good ? 0 : 1
}

async function measure(
  stage: Backend,
  library: string,
  which: { readonly trials: number; readonly from: number; readonly width: number },
): Promise<boolean> {
  const { name, drivers, faults } = stage
  const folder = await mkdtemp(join(tmpdir(), `onceward-losses-${name}-`))
  const pool = workerPool(3, { library, drivers })
  const sink = await startStoreSink()
  const run = `l${Date.now().toString(36)}`
  const ground = { kind: STORES, stage, pool, sink, library, faults, folder, run, pace: paceNow }
  try {
    const { statistics, failures } = await runCampaign<StoreTrials>({ ...which, ...ground, maxFailures: 5 })
    const { acknowledgedBefore, acknowledgedGone, secondEffects, violations } = statistics
    const cells = [name, statistics.trials, acknowledgedBefore, acknowledgedGone, secondEffects, violations]
    console.log(`| ${cells.join(' | ')} |`)
    for (const { seed, folder: kept, violations: broken } of failures) {
      for (const { rule, message } of broken.slice(0, 5))
        console.log(`seed ${seed} (${kept}) BROKEN ${rule}: ${message}`)
    }
    if (failures.length === 0) await rm(folder, { recursive: true, force: true })
    return failures.length === 0 && acknowledgedGone > 0
  } finally {
    await pool.close()
    await sink.stop()
  }
}
