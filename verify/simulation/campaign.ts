import { check } from './checker.ts'
import type { EngineModules } from './engine.ts'
import type { Violation } from './evidence.ts'
import { addStatistics, noStatistics, type Statistics } from './history.ts'
import { makePlan, type Plan } from './plan.ts'
import { inMacrotask } from './scheduler.ts'
import { simulate } from './simulate.ts'

/** A seed whose history broke a promise. */
export interface Failure {
  readonly seed: number
  readonly violations: readonly Violation[]
}

/** What a row of seeds has shown. */
export interface CampaignResult {
  readonly seeds: number
  readonly failures: readonly Failure[]
  readonly statistics: Statistics
  readonly tookMs: number
}

/** Which seeds to run. */
export interface Campaign {
  readonly from: number
  readonly seeds: number
  /** Every so many-th seed only, so that several processes can share a row. Default 1. */
  readonly stride?: number
  /** Ends after so many failing seeds. Default 1. */
  readonly maxFailures?: number
}

/** Seeds run in one macrotask: enough to cost nothing, few enough to let the process answer signals. */
const BATCH = 64

/** Runs a row of seeds and judges each history. */
export async function runCampaign(campaign: Campaign, engine: EngineModules): Promise<CampaignResult> {
  const { from, seeds, stride = 1, maxFailures = 1 } = campaign
  const statistics = noStatistics()
  const failures: Failure[] = []
  const startedAt = performance.now()
  let ran = 0
  while (ran < seeds && failures.length < maxFailures) {
    await inMacrotask(() => {
      for (let count = 0; count < BATCH && ran < seeds && failures.length < maxFailures; count++) {
        const seed = from + stride * ran++
        const violations = runPlan(makePlan(seed), engine, statistics)
        if (violations.length > 0) failures.push({ seed, violations })
      }
    })
  }
  return { seeds: ran, failures, statistics, tookMs: performance.now() - startedAt }
}

/** Carries out one plan and judges it. Call it from a macrotask. */
export function runPlan(plan: Plan, engine: EngineModules, total?: Statistics): readonly Violation[] {
  const { history, statistics } = simulate(plan, engine)
  const { violations, doubleEffects } = check(plan, history)
  if (plan.lane === 'failover') statistics.doubleEffectsByFailover += doubleEffects
  else statistics.doubleEffects += doubleEffects
  if (total) addStatistics(total, statistics)
  return violations
}
