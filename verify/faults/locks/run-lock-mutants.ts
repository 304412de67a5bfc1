/**
 * Puts each fault of `lock-mutants.ts` into a copy of the built library and looks whether the trials of locks notice.
 *
 * Exit codes: 0 when every mutant was killed, 1 when one lived or could not be made, 2 for wrong use.
 */
import { runCampaign } from '../harness/campaign.ts'
import { runMutants } from '../harness/mutants.ts'
import { processPool } from '../harness/process-pool.ts'
import type { TrialPool } from '../harness/seat.ts'
import { LOCK_WORKER, LOCKS, type LockTrials } from './lock-lane.ts'
import { LOCK_MUTANTS } from './lock-mutants.ts'
import { startLockSink } from './lock-sink.ts'
import { startLockStage } from './lock-stages.ts'

const USAGE = `node verify/faults/dist/faults/locks/run-lock-mutants.js [options]
  --trials N      a mutant that has shown nothing after so many trials lives (60)
  --seed S        the seed of the first trial (1)
  --store A,B     mutants of these backends only (all)
  --only TEXT     mutants whose name contains this text`

const sink = await startLockSink()
const code = await runMutants({
  usage: USAGE,
  mutants: LOCK_MUTANTS,
  trials: 60,
  titleOf: ({ store }) => store,
  async attempt(mutant, trial) {
    const started = await startLockStage(mutant.store, trial.library)
    if ('missing' in started) return started
    const { stage } = started
    // Processes that have loaded a mutant keep it: each has its own.
    const pool: TrialPool = processPool(LOCK_WORKER, 3, { quiet: true })
    const faults = mutant.faults ?? stage.faults
    const how = { width: 3, maxFailures: 1, promisesOnly: true, run: `m${Date.now().toString(36)}` }
    try {
      return await runCampaign<LockTrials>({ ...trial, ...how, kind: LOCKS, stage, pool, sink, faults })
    } finally {
      await pool.close()
      await stage.stop()
    }
  },
})
await sink.stop()
// Node.js 20 sometimes goes round in circles when it ends by itself while sockets are being closed.
process.exit(code)
