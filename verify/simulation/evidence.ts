import type { HistoryEvent } from './history.ts'
import type { Plan, PlannedKey } from './plan.ts'

/** One broken promise. `rule` names the invariant of TESTING.md, or what it follows from. */
export interface Violation {
  readonly rule: string
  readonly at: number
  readonly message: string
}

/** One kind of event. */
export type EventOf<K extends HistoryEvent['kind']> = Extract<HistoryEvent, { readonly kind: K }>

/** A history with what every rule asks of it. */
export interface Evidence {
  readonly plan: Plan
  readonly history: readonly HistoryEvent[]
  /** A tail of writes was lost: what depends on an acknowledged write is not promised any more. */
  readonly lostTail: boolean
  /** Nothing, or one message only, went wrong: every call must end as if nothing had. */
  readonly undisturbed: boolean
  /** Which life of its operation a claim belongs to: a record that was forgotten begins another one. */
  life(op: string, fence: number): number
  readonly calls: ReadonlyMap<number, EventOf<'call'>>
  of<K extends HistoryEvent['kind']>(kind: K): readonly EventOf<K>[]
  key(op: string): PlannedKey | undefined
  report(rule: string, at: number, message: string): void
}

/**
 * Whether the record that was there had expired, so that a claim found none. Its owner may still end an expired one:
 * as long as nobody else has claimed it, nobody else ran.
 */
export function isForgotten({ before, method, storeTime }: EventOf<'write'>): boolean {
  return method === 'claim' && before?.expiresAt !== undefined && storeTime >= before.expiresAt
}
