import { checkAnswers } from './check-answers.ts'
import { checkEffects } from './check-effects.ts'
import { checkLiveness } from './check-liveness.ts'
import { checkRecords } from './check-records.ts'
import { type EventOf, type Evidence, isForgotten, type Violation } from './evidence.ts'
import type { HistoryEvent } from './history.ts'
import type { Plan } from './plan.ts'

/** What a history shows. */
export interface Verdict {
  readonly violations: readonly Violation[]
  /** Effects beyond the first of one part of one operation. */
  readonly doubleEffects: number
}

/**
 * Judges a history. It shares no code with the engine: it knows only what was promised.
 */
export function check(plan: Plan, history: readonly HistoryEvent[]): Verdict {
  const violations: Violation[] = []
  const byKind = new Map<string, HistoryEvent[]>()
  for (const event of history) {
    const others = byKind.get(event.kind)
    if (others) others.push(event)
    else byKind.set(event.kind, [event])
  }
  const of = <K extends HistoryEvent['kind']>(kind: K) => (byKind.get(kind) ?? []) as EventOf<K>[]
  const keys = new Map(plan.keys.map((key) => [`${key.scope}/${key.name}`, key]))
  const lives = livesOf(of('write'))
  const evidence: Evidence = {
    plan,
    history,
    lostTail: of('failover').some(({ lost }) => lost.length > 0),
    undisturbed: plan.lane === 'calm' || plan.lane === 'single',
    calls: new Map(of('call').map((call) => [call.call, call])),
    of,
    life: (op, fence) => lives.get(`${op} ${fence}`) ?? 0,
    key: (op) => keys.get(op),
    report: (rule, at, message) => violations.push({ rule, at, message }),
  }
  const doubleEffects = checkEffects(evidence)
  checkAnswers(evidence)
  checkRecords(evidence)
  checkLiveness(evidence)
  return { violations, doubleEffects }
}

function livesOf(writes: readonly EventOf<'write'>[]): Map<string, number> {
  const lives = new Map<string, number>()
  const current = new Map<string, number>()
  for (const write of writes) {
    let life = current.get(write.op) ?? 0
    if (isForgotten(write)) current.set(write.op, ++life)
    lives.set(`${write.op} ${write.after.fence}`, life)
  }
  return lives
}
