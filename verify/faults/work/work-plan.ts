import { createPrng } from '../../simulation/prng.ts'
import { drawTrialFaults } from '../harness/trial-faults.ts'
import type { PlanSetting, TrialPlan } from '../harness/trial-kind.ts'

/** What is tried: one-time tokens, the ledger of tasks, messages from an outbox to an inbox, what is seen first, SQL guards. */
export const LANES = ['tokens', 'tasks', 'messages', 'dedupe', 'guards'] as const

/** One of them. */
export type LaneName = (typeof LANES)[number]

/** All that is decided about one trial before it begins. */
export interface WorkPlan extends TrialPlan {
  readonly lane: LaneName
  /** Names what belongs to this trial, in every table: a topic, an action, a scope. */
  readonly trial: string
  /** How many callers each worker has. */
  readonly callers: number
  /** How likely it is that a life of a worker ends itself at some point of its work. */
  readonly crashes: number
  /** The part of the work that does not look whether its lease is lost: what it brings must be refused. */
  readonly careless: number
}

/** Makes the plan of a trial. */
export function makeWorkPlan(seed: number, lane: LaneName, { run, faults, pace }: PlanSetting): WorkPlan {
  const prng = createPrng(seed)
  const leaseMs = Math.round(prng.between(300, 500) * pace)
  const workers = 3
  const activeMs = Math.round(leaseMs * prng.between(8, 11))
  const when = { activeMs, leaseMs, workers }
  return {
    seed,
    lane,
    trial: `${run}-${seed}`,
    leaseMs,
    timeoutMs: leaseMs * 3,
    activeMs,
    workers,
    emptyMs: leaseMs / 2,
    callers: 2,
    crashes: faults.includes('kill') ? 0.6 : 0,
    careless: prng.pick([0, 0.4, 0.9]),
    faults: drawTrialFaults(prng, faults, when, { worker: 5, connection: 2 }),
  }
}
