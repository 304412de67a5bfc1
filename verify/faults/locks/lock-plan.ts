import { createPrng } from '../../simulation/prng.ts'
import { drawTrialFaults } from '../harness/trial-faults.ts'
import type { PlanSetting, TrialPlan } from '../harness/trial-kind.ts'

/** All that a seed decides about one trial. */
export interface LockPlan extends TrialPlan {
  readonly keys: readonly string[]
  readonly waitMs: number
  /** How many callers each worker has. */
  readonly callers: number
  /** The part of the work that does not look whether its lease is lost: the resource has to refuse it. */
  readonly careless: number
  readonly renew: boolean
  readonly fair: boolean
  readonly localHandovers: number
}

/** What a plan has to keep to: some backends know no shorter leases. */
export interface LockPlanSetting extends PlanSetting {
  readonly minLeaseMs: number
}

/** Makes the plan of a trial. */
export function makeLockPlan(seed: number, { run, faults, pace, minLeaseMs }: LockPlanSetting): LockPlan {
  const prng = createPrng(seed)
  const leaseMs = Math.round(Math.max(minLeaseMs, prng.between(300, 500) * pace))
  const workers = 3
  const activeMs = leaseMs * prng.between(8, 12)
  const when = { activeMs, leaseMs, workers }
  return {
    seed,
    keys: [`${run}/${seed}/orders`, `${run}/${seed}/{stock} é`],
    leaseMs,
    timeoutMs: leaseMs * 2,
    waitMs: Math.round(leaseMs * prng.between(1, 8)),
    activeMs,
    workers,
    emptyMs: leaseMs / 2,
    callers: 2,
    careless: prng.pick([0, 0.4, 0.9]),
    renew: prng.chance(0.7),
    fair: prng.chance(0.8),
    localHandovers: prng.pick([0, 2, 32]),
    faults: drawTrialFaults(prng, faults, when, { worker: 4, connection: 2 }),
  }
}
