import type { Verdict } from './checker.ts'
import { FAULT_KINDS, type FaultKind } from './harness/fault-kinds.ts'
import type { EventOf, HistoryEvent } from './history.ts'

/** What a campaign has seen. */
export interface Statistics {
  trials: number
  /** Trials that saw a takeover, a stale write refused or a lost reply: the others prove little. */
  counting: number
  /** Trials on a machine too busy to judge how soon everything settled; the rest of them was judged. */
  tooBusy: number
  operations: number
  /** Operations of which somebody got the value. */
  acknowledged: number
  calls: number
  answers: number
  effects: number
  takeovers: number
  /** Writes of owners that were not owners any more, refused by the store or by a fenced resource. */
  staleWrites: number
  /** Calls of the store that failed, so that nobody knows whether they were applied. */
  lostReplies: number
  /** Calls whose caller got no answer, or the answer that the outcome is unknown. */
  unknowns: number
  held: number
  reconciled: number
  /** Effects beyond the first, where the mode allows them. */
  repeatedEffects: number
  violations: number
  /** Operations that were acknowledged before the store lost its tail, and those of them that it forgot or ran again. */
  acknowledgedBefore: number
  acknowledgedGone: number
  /** Effects beyond the first of operations that promise one, because the store had forgotten the first. */
  secondEffects: number
  /** The slowest operation after a heal, in leases. */
  slowestLeases: number
  readonly faults: Record<FaultKind, number>
  /** The points at which a worker ended itself. */
  readonly crashPoints: Record<string, number>
}

/** Starts counting. */
export function noStatistics(): Statistics {
  return {
    trials: 0,
    counting: 0,
    tooBusy: 0,
    operations: 0,
    acknowledged: 0,
    calls: 0,
    answers: 0,
    effects: 0,
    takeovers: 0,
    staleWrites: 0,
    lostReplies: 0,
    unknowns: 0,
    held: 0,
    reconciled: 0,
    repeatedEffects: 0,
    violations: 0,
    acknowledgedBefore: 0,
    acknowledgedGone: 0,
    secondEffects: 0,
    slowestLeases: 0,
    faults: Object.fromEntries(FAULT_KINDS.map((kind) => [kind, 0])) as Record<FaultKind, number>,
    crashPoints: {},
  }
}

/** Adds what one trial has seen. */
export function count(
  total: Statistics,
  operations: number,
  history: readonly HistoryEvent[],
  verdict: Verdict,
): void {
  const of = <K extends HistoryEvent['k']>(kind: K) =>
    history.filter((event): event is EventOf<K> => event.k === kind)
  const stores = of('store')
  const calls = new Map(of('invoke').map(({ call, op }) => [call, op]))
  const begun = of('begin')
  const answers = of('answer')
  const ended = new Set([...answers, ...of('error')].map(({ call }) => call))
  const takeovers =
    stores.filter(({ takenOver }) => takenOver === true).length +
    begun.filter(({ takenOver, fence }) => takenOver && !stores.some((event) => event.fence === fence)).length
  const staleWrites = stores.filter(({ applied }) => applied === false).length + of('stale').length
  const lostReplies =
    stores.filter(({ error }) => error !== undefined).length + faultsOf(history, 'reply-lost')
  total.trials++
  if (takeovers + staleWrites + lostReplies > 0) total.counting++
  if (verdict.tooBusy) total.tooBusy++
  total.operations += operations
  total.acknowledged += new Set(answers.map(({ call }) => calls.get(call))).size
  total.calls += calls.size
  total.answers += answers.length
  total.effects += of('sunk').length + of('row').length
  total.takeovers += takeovers
  total.staleWrites += staleWrites
  total.lostReplies += lostReplies
  total.unknowns +=
    of('error').filter(({ effect }) => effect === 'unknown').length +
    [...calls.keys()].filter((call) => !ended.has(call)).length
  total.held += of('record').filter(({ state }) => state === 'held').length
  total.reconciled += of('audit').length
  total.repeatedEffects += verdict.repeatedEffects
  total.violations += verdict.violations.length
  total.acknowledgedBefore += verdict.losses.acknowledgedBefore
  total.acknowledgedGone += verdict.losses.acknowledgedGone
  total.secondEffects += verdict.losses.secondEffects
  total.slowestLeases = Math.max(total.slowestLeases, verdict.settledAfterLeases)
  for (const { kind, detail } of of('fault')) {
    total.faults[kind]++
    if (kind === 'crash-point' && detail) total.crashPoints[detail] = (total.crashPoints[detail] ?? 0) + 1
  }
}

/** Tells what a campaign has seen too little of to mean anything. */
export function belowFloors(seen: Statistics, faults: readonly FaultKind[]): string[] {
  const { trials, counting, operations, acknowledged } = seen
  const findings: string[] = []
  if (trials === 0) return ['no trial was run']
  if (acknowledged * 2 < operations)
    findings.push(`only ${acknowledged} of ${operations} operations succeeded`)
  if (counting * 2 < trials)
    findings.push(`only ${counting} of ${trials} trials saw a takeover, a stale write or a lost reply`)
  if (trials < LEAST_TRIALS) return findings
  if (seen.tooBusy * 2 > trials)
    findings.push(`the machine was too busy in ${seen.tooBusy} of ${trials} trials`)
  const least = Math.max(1, Math.floor(trials / 100))
  for (const kind of faults) {
    if (seen.faults[kind] < least)
      findings.push(`${kind} happened only ${seen.faults[kind]} times, at least ${least} are expected`)
  }
  return findings
}

/** Campaigns shorter than this are held neither to the floor of each fault nor to a quiet machine. */
export const LEAST_TRIALS = 100

/** Tells statistics as lines of text. */
export function tellStatistics(seen: Statistics, seconds: number): string {
  const { faults, crashPoints, slowestLeases, ...numbers } = seen
  const line = (name: string, value: number | string) => `${String(value).padStart(9)}  ${name}`
  return [
    ...Object.entries(numbers).map(([name, value]) => line(name, value)),
    line('slowest settling after the heal, in leases', slowestLeases.toFixed(2)),
    ...Object.entries(faults).flatMap(([kind, times]) => (times > 0 ? [line(`fault: ${kind}`, times)] : [])),
    `           crash points: ${Object.entries(crashPoints)
      .sort()
      .map(([point, times]) => `${point} ${times}`)
      .join(', ')}`,
    line(`seconds, ${(seen.trials / seconds).toFixed(2)} trials a second`, seconds.toFixed(1)),
  ].join('\n')
}

function faultsOf(history: readonly HistoryEvent[], kind: FaultKind): number {
  return history.filter((event) => event.k === 'fault' && event.kind === kind).length
}
