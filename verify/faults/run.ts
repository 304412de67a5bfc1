/**
 * Runs fault trials on real processes and real servers; see README.md beside this file.
 *
 * Exit codes: 0 when every promise was kept, 1 when one was not or too little was seen, 2 for wrong use.
 */
import { parseArgs } from 'node:util'
import { type Backend, STORE_FAULTS } from './backend.ts'
import { BACKENDS, startBackend } from './backends.ts'
import { runCampaign } from './harness/campaign.ts'
import {
  type Asked,
  CAMPAIGN_OPTIONS,
  readAsked,
  runAndTell,
  runOnStores,
  tellEnd,
} from './harness/command-line.ts'
import { DEFAULT_LIBRARY } from './library.ts'
import { paceNow } from './pace.ts'
import { STORES, type StoreTrials } from './store-lane.ts'
import { startStoreSink } from './store-sink.ts'
import { workerPool } from './worker-pool.ts'

const USAGE = `node verify/faults/dist/faults/run.js [options]
  --trials N      how many trials on each store (100)
  --seed S        the seed of the first (1)
  --store A,B     which stores (all): ${Object.keys(BACKENDS).join(', ')}
  --faults A,B    which faults (all a store can meet): ${STORE_FAULTS.join(', ')}
  --width N       how many trials run side by side (4)
  --seconds N     begin no further round on a store after so many seconds (no limit)
  --pace N        how much longer leases and time limits are than 300 to 500 ms (as the load tells)
  --failures N    end after so many trials that broke a promise (1)
  --keep          keep all histories, not only those of broken trials
  --library DIR   the built library of the workers (${DEFAULT_LIBRARY})
  --require-all   fail where a store cannot be had here, instead of skipping it
  --quiet         print the table only`

// Node.js 20 sometimes goes round in circles when it ends by itself while sockets are being closed.
process.exit(await main())

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      ...CAMPAIGN_OPTIONS,
      trials: { type: 'string', default: '100' },
      store: { type: 'string', default: Object.keys(BACKENDS).join(',') },
      width: { type: 'string', default: '4' },
      quiet: { type: 'boolean', default: false },
    },
  })
  const asked = readAsked(values, { stores: Object.keys(BACKENDS), faults: STORE_FAULTS })
  if (values.help || !asked) {
    console.log(USAGE)
    return values.help ? 0 : 2
  }
  const good = await runOnStores({ ...values, stores: asked.stores }, startBackend, (backend, library) =>
    runOn(backend, library, asked, values.quiet),
  )
  return tellEnd(good)
}

async function runOn(stage: Backend, library: string, asked: Asked, isQuiet: boolean): Promise<boolean> {
  const { only, campaign } = asked
  const { width, keep } = campaign
  const { name } = stage
  const faults = only ? stage.faults.filter((kind) => only.includes(kind)) : stage.faults
  const pool = workerPool(3, { library, drivers: stage.drivers })
  const sink = await startStoreSink()
  // Operations of earlier runs may lie in the same store.
  const run = `f${Date.now().toString(36)}`
  const ground = { kind: STORES, stage, pool, sink, library, faults, run }
  try {
    return await runAndTell(
      {
        title: name,
        name,
        keep,
        tally: STORES.tally,
        faults,
        again: ({ roundFrom }) =>
          `--store ${name} --seed ${roundFrom} --trials ${width} --width ${width} --keep`,
      },
      (folder) =>
        runCampaign<StoreTrials>({
          pace: paceNow,
          ...campaign,
          ...ground,
          folder,
          onRound({ trials, violations }) {
            if (!isQuiet && process.stdout.isTTY)
              process.stdout.write(`\r${name}: ${trials} trials, ${violations} violations `)
          },
        }),
    )
  } finally {
    await pool.close()
    await sink.stop()
  }
}
