/**
 * Puts each fault of `mutants.ts` into a copy of the built library and looks whether the trials notice.
 *
 * Exit codes: 0 when every mutant was killed, 1 when one lived or could not be made, 2 for wrong use.
 */
import type { Backend } from './backend.ts'
import { startBackend } from './backends.ts'
import { runCampaign } from './harness/campaign.ts'
import { runMutants } from './harness/mutants.ts'
import type { TrialPool } from './harness/seat.ts'
import { loadLibrary } from './library.ts'
import { MUTANTS } from './mutants.ts'
import { paceNow } from './pace.ts'
import { STORES, type StoreTrials } from './store-lane.ts'
import { startStoreSink } from './store-sink.ts'
import { workerPool } from './worker-pool.ts'

const USAGE = `node verify/faults/dist/faults/run-mutants.js [options]
  --trials N      a mutant that has shown nothing after so many trials lives (120)
  --seed S        the seed of the first trial (1)
  --store A,B     mutants of these stores only (all)
  --only TEXT     mutants whose name contains this text`

/** A store whose mutants are tried one after the other. */
interface Ground {
  readonly store: string
  readonly backend: Backend
  readonly pool: TrialPool
}

let ground: Ground | undefined
const sink = await startStoreSink()
const code = await everyMutant()
await sink.stop()
// Node.js 20 sometimes goes round in circles when it ends by itself while sockets are being closed.
process.exit(code)

async function everyMutant(): Promise<number> {
  try {
    return await runMutants({
      usage: USAGE,
      mutants: MUTANTS,
      trials: 120,
      titleOf: ({ store }) => store,
      async attempt({ store, faults }, { library, ...trial }) {
        if (ground?.store !== store) {
          await leave()
          const started = await startBackend(store, library)
          if ('missing' in started) return started
          const backend = started.stage
          ground = { store, backend, pool: workerPool(3, { drivers: backend.drivers }) }
        }
        const { backend: stage, pool } = ground
        await stage.renew(await loadLibrary(library))
        const how = { width: 4, maxFailures: 1, promisesOnly: true, run: `m${Date.now().toString(36)}` }
        const room = { kind: STORES, stage, pool, sink, library, faults: faults ?? stage.faults }
        return runCampaign<StoreTrials>({ ...trial, ...how, ...room, pace: paceNow })
      },
    })
  } finally {
    await leave()
  }
}

async function leave(): Promise<void> {
  const left = ground
  ground = undefined
  await left?.pool.close()
  await left?.backend.stop()
}
