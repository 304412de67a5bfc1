import { fileURLToPath } from 'node:url'
import { tallyOf } from '../harness/statistics.ts'
import type { TrialKind } from '../harness/trial-kind.ts'
import { checkWork } from './check-work.ts'
import { workFloors } from './work-floors.ts'
import { KEEPERS } from './work-keepers.ts'
import { type LaneName, makeWorkPlan } from './work-plan.ts'
import type { WorkTrials } from './work-trials.ts'

/** What the workers run. */
export const WORK_WORKER: string = fileURLToPath(new URL('run-work-worker.js', import.meta.url))

/** A lane, as it is tried. */
export function workKind(lane: LaneName): TrialKind<WorkTrials> {
  return {
    ...KEEPERS[lane],
    makePlan: (seed, _stage, setting) => makeWorkPlan(seed, lane, setting),
    judge: ({ history, troubles }) => checkWork(lane, history, troubles),
    tally: tallyOf(workFloors(lane)),
    hindrances: ['trial', 'alive'],
  }
}
