import type { DriverEvent, Timed } from './event-log.ts'
import type { FaultKind } from './fault-kinds.ts'

/** A promise that was not kept. */
export interface Violation {
  /** The number of the invariant, or its name. */
  readonly rule: string
  readonly message: string
}

/** What a history shows. `seen` counts what a lane must have met to mean anything. */
export interface Verdict {
  readonly violations: readonly Violation[]
  /** How long the slowest took after the heal, in ms. */
  readonly slowestMs: number
  readonly seen: Readonly<Record<string, number>>
}

/** What any campaign counts. */
export interface CampaignFigures {
  trials: number
  violations: number
}

/** How a campaign counts what its trials have seen. */
export interface Tally<Figures, Judged, Plan, Event> {
  begin(): Figures
  /** Adds one trial. */
  add(all: Figures, verdict: Judged, trial: { readonly plan: Plan; readonly history: readonly Event[] }): void
  /** Says what a campaign has not seen of what it must have, these faults included, to mean anything. */
  below(all: Figures, faults: readonly FaultKind[]): readonly string[]
  /** The figures, as lines of text. */
  tell(all: Figures, seconds: number): string
}

/** What a campaign of a lane has seen. */
export interface Statistics extends CampaignFigures {
  /** Trials that saw what they are for: the others prove little. */
  counting: number
  slowestMs: number
  /** By name, over all trials. */
  readonly seen: Record<string, number>
  readonly faults: Partial<Record<FaultKind, number>>
}

/** What a campaign must have seen to mean anything. */
export interface Floors {
  /** A trial that saw none of these does not count. */
  readonly meetings: readonly string[]
  /** The same in words. */
  readonly meeting: string
  /** Says what else is missing. */
  below(statistics: Statistics): readonly string[]
}

/** What a lane counts, with its floors. */
export function tallyOf(floors: Floors): Tally<Statistics, Verdict, unknown, Timed> {
  return {
    begin: noStatistics,
    add: (all, verdict, { history }) => countTrial(all, floors, history, verdict),
    below: (all, faults) => belowFloors(all, floors, faults),
    tell: tellStatistics,
  }
}

/** Starts counting. */
export function noStatistics(): Statistics {
  return { trials: 0, counting: 0, slowestMs: 0, violations: 0, seen: {}, faults: {} }
}

/** Adds one trial. */
export function countTrial(
  all: Statistics,
  { meetings }: Floors,
  history: readonly Timed[],
  { violations, slowestMs, seen }: Verdict,
): void {
  all.trials++
  all.violations += violations.length
  all.slowestMs = Math.max(all.slowestMs, slowestMs)
  for (const [name, count] of Object.entries(seen)) all.seen[name] = (all.seen[name] ?? 0) + count
  for (const event of history as readonly DriverEvent[])
    if (event.k === 'fault') all.faults[event.kind] = (all.faults[event.kind] ?? 0) + 1
  if (meetings.some((name) => (seen[name] ?? 0) > 0)) all.counting++
}

/** From so many trials on each fault has to have happened. */
export const MANY_TRIALS = 200

/** Says what a campaign has not seen of what it must have. */
export function belowFloors(
  statistics: Statistics,
  { meeting, below }: Floors,
  kinds: readonly FaultKind[],
): readonly string[] {
  const { trials, counting, faults } = statistics
  if (trials === 0) return ['no trial was run']
  const findings: string[] = []
  if (counting * 2 < trials) findings.push(`only ${counting} of ${trials} trials saw ${meeting}`)
  findings.push(...below(statistics))
  for (const kind of trials < MANY_TRIALS ? [] : kinds) {
    const often = Math.ceil(trials / 100)
    const count = faults[kind] ?? 0
    if (count < often) findings.push(`${kind} happened only ${count} times, at least ${often} are expected`)
  }
  return findings
}

/** The figures, as lines of text. */
export function tellStatistics(all: Statistics, seconds: number): string {
  const { trials, counting, seen, slowestMs, violations, faults } = all
  const figures = { trials, counting, ...seen, slowestMs, violations, seconds }
  const lines = Object.entries(figures).map(
    ([name, value]) => `${String(Math.round(value)).padStart(9)}  ${name}`,
  )
  const happened = Object.entries(faults).map(([kind, count]) => `${kind} ${count}`)
  return [...lines, `faults: ${happened.join(', ')}`].join('\n')
}
