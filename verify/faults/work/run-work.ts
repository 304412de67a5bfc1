/**
 * Runs fault trials of tokens, tasks, messages, dedupe and SQL guards on real processes and real servers; see README.md in
 * the folder above.
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
import { FORGETTING } from '../harness/fault-kinds.ts'
import { processPool } from '../harness/process-pool.ts'
import type { TrialPool } from '../harness/seat.ts'
import { TRIAL_FAULTS } from '../harness/trial-faults.ts'
import { WORK_WORKER, workKind } from './work-kind.ts'
import { LANES, type LaneName } from './work-plan.ts'
import { startWorkSink } from './work-sink.ts'
import { startWorkStage, WORK_STAGES, type WorkStage } from './work-stages.ts'
import type { WorkTrials } from './work-trials.ts'

const STORES = Object.keys(WORK_STAGES)
const FAULTS = TRIAL_FAULTS.filter((kind) => !FORGETTING.includes(kind))

const USAGE = `node verify/faults/dist/faults/work/run-work.js [options]
  --lane A,B      what is tried (all): ${LANES.join(', ')}
  --trials N      how many trials of each lane on each store (60)
  --seed S        the seed of the first (1)
  --store A,B     which stores (all): ${STORES.join(', ')}; Redis has tokens and dedupe only
  --faults A,B    which faults (all): ${FAULTS.join(', ')}
  --width N       how many trials run side by side (3)
  --seconds N     begin no further round of a lane on a store after so many seconds (no limit)
${CAMPAIGN_USAGE}`

// Node.js 20 sometimes goes round in circles when it ends by itself while sockets are being closed.
process.exit(await main())

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      ...CAMPAIGN_OPTIONS,
      work: { type: 'boolean', default: true },
      lane: { type: 'string', default: LANES.join(',') },
      trials: { type: 'string', default: '60' },
      store: { type: 'string', default: STORES.join(',') },
      width: { type: 'string', default: '3' },
    },
  })
  const asked = readAsked(values, { stores: STORES, faults: FAULTS })
  const lanes = values.lane.split(',') as LaneName[]
  if (values.help || !asked || lanes.some((name) => !LANES.includes(name))) {
    console.log(USAGE)
    return values.help ? 0 : 2
  }
  const { only = FAULTS, campaign } = asked
  const sink = await startWorkSink()
  const pool: TrialPool = processPool(WORK_WORKER, 2)
  const runLane = (lane: LaneName, stage: WorkStage, library: string) => {
    const kind = workKind(lane)
    const faults = stage.faults.filter((one) => only.includes(one))
    const ground = { kind, stage, pool, sink, library, faults, run: `w${Date.now().toString(36)}` }
    const { keep } = campaign
    return runAndTell(
      {
        title: `${lane} on ${stage.name}`,
        name: `${lane}-${stage.name}`,
        keep,
        tally: kind.tally,
        faults,
      },
      (folder) => runCampaign<WorkTrials>({ ...campaign, ...ground, folder }),
    )
  }
  try {
    const good = await runOnStores(
      { ...values, stores: asked.stores },
      startWorkStage,
      async (stage, library) => {
        let all = true
        for (const lane of lanes.filter((one) => stage.lanes.includes(one)))
          all = (await runLane(lane, stage, library)) && all
        return all
      },
    )
    return tellEnd(good)
  } finally {
    await pool.close()
    await sink.stop()
  }
}
