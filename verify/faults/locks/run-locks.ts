/**
 * Runs fault trials of locks on real processes and real servers; see README.md in the folder above.
 *
 * Exit codes: 0 when every promise was kept, 1 when one was not or too little was seen, 2 for wrong use.
 */
import { parseArgs } from 'node:util'
import { runCampaign } from '../harness/campaign.ts'
import {
  CAMPAIGN_OPTIONS,
  CAMPAIGN_USAGE,
  readAsked,
  runAndTell,
  runOnStores,
  tellEnd,
} from '../harness/command-line.ts'
import { processPool } from '../harness/process-pool.ts'
import type { TrialPool } from '../harness/seat.ts'
import { TRIAL_FAULTS } from '../harness/trial-faults.ts'
import { LOCK_WORKER, LOCKS, type LockTrials } from './lock-lane.ts'
import { startLockSink } from './lock-sink.ts'
import { LOCK_STAGES, startLockStage } from './lock-stages.ts'

const STORES = Object.keys(LOCK_STAGES)
const FAULTS = TRIAL_FAULTS.filter((kind) => kind !== 'net-cut-commit')

const USAGE = `node verify/faults/dist/faults/locks/run-locks.js [options]
  --trials N      how many trials on each backend (100)
  --seed S        the seed of the first (1)
  --store A,B     which backends (all): ${STORES.join(', ')}
  --faults A,B    which faults (all but those that make a server forget): ${FAULTS.join(', ')}
  --forgetting    adds what makes a server forget locks: two may count on one then, and are counted
  --width N       how many trials run side by side (4)
  --seconds N     begin no further round on a backend after so many seconds (no limit)
${CAMPAIGN_USAGE}`

// Node.js 20 sometimes goes round in circles when it ends by itself while sockets are being closed.
process.exit(await main())

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      ...CAMPAIGN_OPTIONS,
      locks: { type: 'boolean', default: true },
      trials: { type: 'string', default: '100' },
      store: { type: 'string', default: STORES.join(',') },
      forgetting: { type: 'boolean', default: false },
      width: { type: 'string', default: '4' },
    },
  })
  const asked = readAsked(values, { stores: STORES, faults: FAULTS })
  if (values.help || !asked) {
    console.log(USAGE)
    return values.help ? 0 : 2
  }
  const { only, campaign } = asked
  const forgetting = values.forgetting || only !== undefined
  const sink = await startLockSink()
  const pool: TrialPool = processPool(LOCK_WORKER, 3)
  try {
    const good = await runOnStores(
      { ...values, stores: asked.stores },
      (store, library) => startLockStage(store, library, { forgetting }),
      (stage, library) => {
        const usual = [...stage.faults, ...(values.forgetting ? stage.forgetting : [])]
        const faults = only
          ? [...stage.faults, ...stage.forgetting].filter((kind) => only.includes(kind))
          : usual
        const ground = { kind: LOCKS, stage, pool, sink, library, faults, run: `l${Date.now().toString(36)}` }
        return runAndTell(
          {
            title: `locks on ${stage.name}`,
            name: `locks-${stage.name}`,
            keep: campaign.keep,
            tally: LOCKS.tally,
            faults,
          },
          (folder) => runCampaign<LockTrials>({ ...campaign, ...ground, folder }),
        )
      },
    )
    return tellEnd(good)
  } finally {
    await pool.close()
    await sink.stop()
  }
}
