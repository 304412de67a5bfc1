import { checkAnswers } from './check-answers.ts'
import { checkClaims } from './check-claims.ts'
import { checkEffects } from './check-effects.ts'
import { checkRecords } from './check-records.ts'
import { checkSettling } from './check-settling.ts'
import { evidenceOf, type Promised } from './evidence.ts'
import type { Violation } from './harness/statistics.ts'
import type { HistoryEvent } from './history.ts'
import { type Losses, lossesOf } from './losses.ts'

/** What a history shows. */
export interface Verdict {
  readonly violations: readonly Violation[]
  /** Effects beyond the first, where the mode allows them. */
  readonly repeatedEffects: number
  /** How long the slowest operation took to settle after the heal, in leases. */
  readonly settledAfterLeases: number
  /** The machine was too busy to tell whether everything settled in time. */
  readonly tooBusy: boolean
  /** What was lost; nothing where the store is not known to lose. */
  readonly losses: Losses
}

/**
 * Judges one trial from what its processes, the sink and the store have left behind. It shares no code with the
 * library: it knows only what was promised.
 *
 * @param options.lossy - The store is known to lose acknowledged writes under the faults of this trial.
 */
export function check(
  promised: Promised,
  history: readonly HistoryEvent[],
  options: { readonly lossy?: boolean } = {},
): Verdict {
  const violations: Violation[] = []
  const evidence = evidenceOf(promised, history, violations, options.lossy === true)
  const repeatedEffects = checkEffects(evidence)
  checkAnswers(evidence)
  checkClaims(evidence)
  checkRecords(evidence)
  const { slowestLeases: settledAfterLeases, tooBusy } = checkSettling(evidence)
  const losses = lossesOf(evidence)
  return { violations, repeatedEffects, settledAfterLeases, tooBusy, losses }
}
