/**
 * Puts each fault of `work-mutants.ts` into a copy of the built library and looks whether the trials notice.
 *
 * Exit codes: 0 when every mutant was killed, 1 when one lived or could not be made, 2 for wrong use.
 */
import { runCampaign } from '../harness/campaign.ts'
import { runMutants } from '../harness/mutants.ts'
import { processPool } from '../harness/process-pool.ts'
import type { TrialPool } from '../harness/seat.ts'
import { WORK_WORKER, workKind } from './work-kind.ts'
import { WORK_MUTANTS } from './work-mutants.ts'
import { startWorkSink } from './work-sink.ts'
import { startWorkStage } from './work-stages.ts'
import type { WorkTrials } from './work-trials.ts'

const USAGE = `node verify/faults/dist/faults/work/run-work-mutants.js [options]
  --trials N      a mutant that has shown nothing after so many trials lives (30)
  --seed S        the seed of the first trial (1)
  --store A,B     mutants of these stores only (all)
  --lane A        mutants of this lane only (all)
  --only TEXT     mutants whose name contains this text`

const sink = await startWorkSink()
const code = await runMutants({
  usage: USAGE,
  mutants: WORK_MUTANTS,
  trials: 30,
  titleOf: ({ lane, store }) => `${lane} on ${store}`,
  async attempt(mutant, trial) {
    const started = await startWorkStage(mutant.store, trial.library)
    if ('missing' in started) return started
    const { stage } = started
    // Processes that have loaded a mutant keep it: each has its own.
    const pool: TrialPool = processPool(WORK_WORKER, 2, { quiet: true })
    const kind = workKind(mutant.lane)
    const faults = mutant.faults ?? stage.faults
    const how = { width: 2, maxFailures: 1, promisesOnly: true, run: `m${Date.now().toString(36)}` }
    try {
      return await runCampaign<WorkTrials>({ ...trial, ...how, kind, stage, pool, sink, faults })
    } finally {
      await pool.close()
      await stage.stop()
    }
  },
})
await sink.stop()
// Node.js 20 sometimes goes round in circles when it ends by itself while sockets are being closed.
process.exit(code)
