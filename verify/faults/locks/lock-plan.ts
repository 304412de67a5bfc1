import { createPrng } from '../../simulation/prng.ts'
import { befalls, drawFaults, type LockFault, type LockFaultKind } from './lock-faults.ts'

/** All that a seed decides about one trial. */
export interface LockPlan {
  readonly seed: number
  readonly keys: readonly string[]
  readonly ttlMs: number
  readonly waitMs: number
  /** For how long faults happen. */
  readonly activeMs: number
  readonly workers: number
  /** How many callers each worker has. */
  readonly callers: number
  /** The part of the work that does not look whether its lease is lost: the resource has to refuse it. */
  readonly careless: number
  readonly renew: boolean
  readonly fair: boolean
  readonly localHandovers: number
  /** Of workers and connections; those of the server are drawn for a round. */
  readonly faults: readonly LockFault[]
}

/** What does not come from the seed. */
export interface LockPlanSetting {
  readonly run: string
  readonly faults: readonly LockFaultKind[]
  /** How much longer leases are than 300 to 500 ms. */
  readonly pace: number
  readonly minTtlMs: number
}

/** Makes the plan of a trial. */
export function makeLockPlan(seed: number, { run, faults, pace, minTtlMs }: LockPlanSetting): LockPlan {
  const prng = createPrng(seed)
  const ttlMs = Math.round(Math.max(minTtlMs, prng.between(300, 500) * pace))
  const workers = 3
  const activeMs = ttlMs * prng.between(8, 12)
  const on = (part: 'worker' | 'connection') => faults.filter((kind) => befalls(kind) === part)
  const when = { activeMs, ttlMs, workers }
  return {
    seed,
    keys: [`${run}/${seed}/orders`, `${run}/${seed}/{stock} é`],
    ttlMs,
    waitMs: Math.round(ttlMs * prng.between(1, 8)),
    activeMs,
    workers,
    callers: 2,
    careless: prng.pick([0, 0.4, 0.9]),
    renew: prng.chance(0.7),
    fair: prng.chance(0.8),
    localHandovers: prng.pick([0, 2, 32]),
    faults: [...drawFaults(prng, on('worker'), when, 4), ...drawFaults(prng, on('connection'), when, 2)].sort(
      (left, right) => left.at - right.at,
    ),
  }
}
