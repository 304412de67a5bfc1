import { createPrng } from '../../simulation/prng.ts'
import { befalls, drawFaults, type WorkFault, type WorkFaultKind } from './work-faults.ts'

/** What is tried: one-time tokens, the ledger of tasks, or messages from an outbox to an inbox. */
export const LANES = ['tokens', 'tasks', 'messages'] as const

/** One of them. */
export type LaneName = (typeof LANES)[number]

/** All that is decided about one trial before it begins. */
export interface WorkPlan {
  readonly seed: number
  readonly lane: LaneName
  /** Names what belongs to this trial, in every table: a topic, an action, a scope. */
  readonly trial: string
  readonly leaseMs: number
  /** How long an answer of the database is waited for. */
  readonly timeoutMs: number
  /** For how long faults happen. */
  readonly activeMs: number
  readonly workers: number
  /** How many callers each worker has. */
  readonly callers: number
  /** How likely it is that a life of a worker ends itself at some point of its work. */
  readonly crashes: number
  /** The part of the work that does not look whether its lease is lost: what it brings must be refused. */
  readonly careless: number
  /** Of workers and connections; those of the server are drawn for a round. */
  readonly faults: readonly WorkFault[]
}

/** What does not come from the seed. */
export interface WorkPlanSetting {
  readonly lane: LaneName
  readonly run: string
  readonly faults: readonly WorkFaultKind[]
  /** How much longer leases are than 300 to 500 ms. */
  readonly pace: number
}

/** Makes the plan of a trial. */
export function makeWorkPlan(seed: number, { lane, run, faults, pace }: WorkPlanSetting): WorkPlan {
  const prng = createPrng(seed)
  const leaseMs = Math.round(prng.between(300, 500) * pace)
  const workers = 3
  const activeMs = Math.round(leaseMs * prng.between(8, 11))
  const on = (part: 'worker' | 'connection') => faults.filter((kind) => befalls(kind) === part)
  const when = { activeMs, leaseMs, workers }
  return {
    seed,
    lane,
    trial: `${run}-${seed}`,
    leaseMs,
    timeoutMs: leaseMs * 3,
    activeMs,
    workers,
    callers: 2,
    crashes: faults.includes('kill') ? 0.6 : 0,
    careless: prng.pick([0, 0.4, 0.9]),
    faults: [...drawFaults(prng, on('worker'), when, 5), ...drawFaults(prng, on('connection'), when, 2)].sort(
      (left, right) => left.at - right.at,
    ),
  }
}
