import { fileURLToPath } from 'node:url'
import type { TrialKind } from '../harness/trial-kind.ts'
import { checkWork } from './check-work.ts'
import type { WorkEvent } from './work-events.ts'
import { workFloors } from './work-floors.ts'
import { KEEPERS } from './work-keepers.ts'
import { type LaneName, makeWorkPlan, type WorkPlan } from './work-plan.ts'
import type { WorkSink } from './work-sink.ts'
import type { WorkStage } from './work-stages.ts'

/** What the workers run. */
export const WORK_WORKER: string = fileURLToPath(new URL('run-work-worker.js', import.meta.url))

/** A lane, as it is tried. */
export function workKind(lane: LaneName): TrialKind<WorkStage, WorkPlan, WorkEvent, WorkSink> {
  return {
    ...KEEPERS[lane],
    makePlan: (seed, _stage, setting) => makeWorkPlan(seed, lane, setting),
    judge: (history, troubles) => checkWork(lane, history, troubles),
    floors: workFloors(lane),
    hindrances: ['trial', 'alive'],
  }
}
