import type { WorkVerdict } from './check-work.ts'
import type { WorkEvent } from './work-events.ts'
import type { WorkFaultKind } from './work-faults.ts'
import type { LaneName } from './work-plan.ts'

/** What a campaign has seen. */
export interface WorkStatistics {
  trials: number
  /** Trials that saw a process die, a lost answer, a lapse or a redelivery: the others prove little. */
  counting: number
  /** How long the slowest trial took to come to rest after the heal, in ms. */
  slowestMs: number
  violations: number
  /** By name, over all trials. */
  readonly seen: Record<string, number>
  readonly faults: Partial<Record<WorkFaultKind, number>>
}

/** Starts counting. */
export function noWorkStatistics(): WorkStatistics {
  return { trials: 0, counting: 0, slowestMs: 0, violations: 0, seen: {}, faults: {} }
}

/** What a trial of each lane must have seen one of to count. */
const MEETINGS: Readonly<Record<LaneName, readonly string[]>> = {
  tokens: ['never heard of again', 'effect unknown', 'held'],
  tasks: ['never heard of again', 'effect unknown', 'lapsed', 'stale acks'],
  messages: ['never heard of again', 'effect unknown', 'redeliveries'],
}

/** What every campaign of a lane must have seen: without it, nothing was shown. */
const FLOORS: Readonly<Record<LaneName, readonly string[]>> = {
  tokens: [
    'killed',
    'never heard of again',
    'refused',
    'consumed',
    'executed',
    'replayed',
    'held',
    'tried again',
  ],
  tasks: [
    'killed',
    'never heard of again',
    'effects',
    'lapsed',
    'stale acks',
    'existing',
    'rolledBack',
    'in the end done',
  ],
  messages: [
    'killed',
    'commits in doubt',
    'rolled back',
    'redeliveries',
    'pairs in order',
    'duplicates at the inbox',
    'handlers that failed',
  ],
}

/** Adds one trial. */
export function countWorkTrial(
  all: WorkStatistics,
  lane: LaneName,
  history: readonly WorkEvent[],
  verdict: WorkVerdict,
): void {
  all.trials++
  all.violations += verdict.violations.length
  for (const [name, count] of Object.entries(verdict.seen)) all.seen[name] = (all.seen[name] ?? 0) + count
  for (const event of history) {
    if (event.k === 'fault') all.faults[event.kind] = (all.faults[event.kind] ?? 0) + 1
    if (event.k === 'settled') all.slowestMs = Math.max(all.slowestMs, event.ms)
  }
  if (MEETINGS[lane].some((name) => (verdict.seen[name] ?? 0) > 0)) all.counting++
}

/** From so many trials on each fault has to have happened. */
const LEAST_TRIALS = 200

/** What a campaign must have seen to mean anything; says what is missing. */
export function belowWorkFloors(
  { trials, counting, seen, faults }: WorkStatistics,
  lane: LaneName,
  kinds: readonly WorkFaultKind[],
): readonly string[] {
  if (trials === 0) return ['no trial was run']
  const findings: string[] = []
  if (counting * 2 < trials) findings.push(`only ${counting} of ${trials} trials saw what they are for`)
  for (const name of FLOORS[lane]) if ((seen[name] ?? 0) === 0) findings.push(`no trial saw any: ${name}`)
  const { calls = 0, answered = 0 } = seen
  if (answered * 2 < calls) findings.push(`only ${answered} of ${calls} calls were answered`)
  for (const kind of trials < LEAST_TRIALS ? [] : kinds) {
    const often = Math.ceil(trials / 100)
    const count = faults[kind] ?? 0
    if (count < often) findings.push(`${kind} happened only ${count} times, at least ${often} are expected`)
  }
  return findings
}

/** The figures, as lines of text. */
export function tellWorkStatistics(all: WorkStatistics, seconds: number): string {
  const { faults, seen, ...figures } = all
  const lines = Object.entries({ ...figures, ...seen, seconds: Math.round(seconds) }).map(
    ([name, value]) => `${String(Math.round(value)).padStart(9)}  ${name}`,
  )
  const happened = Object.entries(faults).map(([kind, count]) => `${kind} ${count}`)
  return [...lines, `faults: ${happened.join(', ')}`].join('\n')
}
