import type { Statistics, Verdict } from '../harness/statistics.ts'
import type { WorkEvent } from './work-events.ts'
import type { WorkPlan } from './work-plan.ts'
import type { WorkSink } from './work-sink.ts'
import type { WorkStage } from './work-stages.ts'

/** What trials of work are made of. */
export interface WorkTrials {
  readonly stage: WorkStage
  readonly plan: WorkPlan
  readonly event: WorkEvent
  readonly sink: WorkSink
  readonly verdict: Verdict
  readonly statistics: Statistics
}
