import type { LockVerdict } from './check-locks.ts'
import type { LockEvent } from './lock-events.ts'
import { LOCK_FAULTS, type LockFaultKind } from './lock-faults.ts'

/** What a campaign has seen. */
export interface LockStatistics {
  trials: number
  /** Trials that saw a holder lapse, a lease lost, or a stale write refused: the others prove little. */
  counting: number
  calls: number
  grants: number
  timeouts: number
  failures: number
  /** Grants after a holder that had not left. */
  takeovers: number
  /** Leases whose holder was told that they may be lost. */
  lost: number
  /** Requests that the fenced resource refused. */
  stale: number
  writes: number
  /** Times at which two counted on one lock: only after its server had forgotten it. */
  twoHolders: number
  /** The slowest lock after a heal, in ms. */
  slowestMs: number
  violations: number
  readonly faults: Record<LockFaultKind, number>
}

/** Starts counting. */
export function noLockStatistics(): LockStatistics {
  return {
    trials: 0,
    counting: 0,
    calls: 0,
    grants: 0,
    timeouts: 0,
    failures: 0,
    takeovers: 0,
    lost: 0,
    stale: 0,
    writes: 0,
    twoHolders: 0,
    slowestMs: 0,
    violations: 0,
    faults: Object.fromEntries(LOCK_FAULTS.map((kind) => [kind, 0])) as Record<LockFaultKind, number>,
  }
}

/** Adds one trial. */
export function countTrial(all: LockStatistics, history: readonly LockEvent[], verdict: LockVerdict): void {
  let lost = 0
  let stale = 0
  for (const event of history) {
    if (event.k === 'asked') all.calls++
    else if (event.k === 'got') all.grants++
    else if (event.k === 'lost') lost++
    else if (event.k === 'none' && event.code === 'LOCK_TIMEOUT') all.timeouts++
    else if (event.k === 'none' && event.code !== undefined) all.failures++
    else if (event.k === 'fault') all.faults[event.kind]++
    else if (event.k === 'sunk' && !event.accepted) stale++
    else if (event.k === 'sunk' && event.op === 'write') all.writes++
  }
  all.trials++
  all.lost += lost
  all.stale += stale
  all.takeovers += verdict.takeovers
  all.twoHolders += verdict.twoHolders
  all.slowestMs = Math.max(all.slowestMs, verdict.slowestMs)
  all.violations += verdict.violations.length
  if (lost + stale + verdict.takeovers > 0) all.counting++
}

/** What a campaign must have seen to mean anything; says what is missing. */
export function belowLockFloors(
  { trials, counting, grants, writes, faults }: LockStatistics,
  kinds: readonly LockFaultKind[],
): readonly string[] {
  if (trials === 0) return ['no trial was run']
  const findings: string[] = []
  // A short run on a busy machine sees little; it only has to see something.
  const least = trials < LEAST_TRIALS ? 1 : 10
  if (counting * 2 < trials) {
    findings.push(`only ${counting} of ${trials} trials saw a takeover, a lost lease or a stale write`)
  }
  if (grants < trials * least) findings.push(`only ${grants} grants in ${trials} trials`)
  if (writes < trials * least) findings.push(`only ${writes} writes in ${trials} trials`)
  for (const kind of trials < LEAST_TRIALS ? [] : kinds) {
    const often = Math.ceil(trials / 100)
    if (faults[kind] < often)
      findings.push(`${kind} happened only ${faults[kind]} times, at least ${often} are expected`)
  }
  return findings
}

/** From so many trials on each fault has to have happened. */
const LEAST_TRIALS = 200

/** The figures, as lines of text. */
export function tellLockStatistics(all: LockStatistics, seconds: number): string {
  const { faults, ...figures } = all
  const lines = Object.entries({ ...figures, seconds: Math.round(seconds) }).map(
    ([name, value]) => `${String(Math.round(value)).padStart(9)}  ${name}`,
  )
  const seen = Object.entries(faults).filter(([, count]) => count > 0)
  return [...lines, `faults: ${seen.map(([kind, count]) => `${kind} ${count}`).join(', ')}`].join('\n')
}
