import type { Backend } from './backend.ts'
import { accountOf } from './business.ts'
import { check, type Verdict } from './checker.ts'
import type { TrialKind } from './harness/trial-kind.ts'
import type { HistoryEvent } from './history.ts'
import { lookAtStore } from './last-look.ts'
import { makePlan, type StorePlan } from './plan.ts'
import { disturbStore } from './plan-faults.ts'
import type { StoreSink } from './store-sink.ts'
import { belowFloors, count, noStatistics, type Statistics, tellStatistics } from './store-statistics.ts'
import { watchWorld } from './watch-world.ts'

/** What trials of stores are made of. */
export interface StoreTrials {
  readonly stage: Backend
  readonly plan: StorePlan
  readonly event: HistoryEvent
  readonly sink: StoreSink
  readonly verdict: Verdict
  readonly statistics: Statistics
}

/** Operations on a store, as they are tried. */
export const STORES: TrialKind<StoreTrials> = {
  makePlan: (seed, { modes }, setting) => makePlan(seed, { ...setting, modes }),
  async prepare(backend, plan) {
    await backend.prepare(accountsOf(plan))
    return []
  },
  drawServerFaults: disturbStore,
  watch: ({ stage, log }) => watchWorld(stage.store, log.note),
  look: ({ stage, plan, log }) => lookAtStore(stage, plan, accountsOf(plan), log.note),
  judge({ stage, plan, history, troubles }) {
    const verdict = check(plan, history, { lossy: stage.lossy === true })
    return { ...verdict, violations: [...troubles, ...verdict.violations] }
  },
  tally: {
    begin: noStatistics,
    add: (all, verdict, { plan, history }) => count(all, plan.keys.length, history, verdict),
    below: belowFloors,
    tell: tellStatistics,
  },
  hindrances: ['trial', 'alive'],
}

function accountsOf({ run, seed }: StorePlan): readonly string[] {
  return [accountOf(run, seed, 0), accountOf(run, seed, 1)]
}
