import type { Violation } from './harness/statistics.ts'
import type { EventOf, HistoryEvent } from './history.ts'
import type { PlannedKey } from './plan.ts'

/** What a checker is told besides the history: what was promised. */
export interface Promised {
  readonly seed: number
  readonly leaseMs: number
  /** How long a driver may take to notice that its connection is dead, in ms. */
  readonly timeoutMs: number
  readonly keys: readonly Pick<PlannedKey, 'op' | 'mode'>[]
}

/** An effect, in the sink or as a business row. */
export interface Effect {
  readonly op: string
  readonly part: string
  readonly call: string
  readonly fence: number
  readonly nonce: string
}

/** A history with what every rule asks of it. */
export interface Evidence {
  readonly promised: Promised
  readonly history: readonly HistoryEvent[]
  /** The seed of a store that is known to lose acknowledged writes: what depends on them is measured, not promised. */
  readonly lossy: boolean
  of<K extends HistoryEvent['k']>(kind: K): readonly EventOf<K>[]
  /** The askings by their name. */
  readonly calls: ReadonlyMap<string, EventOf<'invoke'>>
  /** All effects, in the order in which they happened, as far as there is one. */
  readonly effects: readonly Effect[]
  modeOf(op: string): PlannedKey['mode'] | undefined
  report(rule: string, message: string): void
}

/** Gathers what the rules ask of a history. */
export function evidenceOf(
  promised: Promised,
  history: readonly HistoryEvent[],
  violations: Violation[],
  lossy: boolean,
): Evidence {
  const byKind = new Map<string, HistoryEvent[]>()
  for (const event of history) {
    const others = byKind.get(event.k)
    if (others) others.push(event)
    else byKind.set(event.k, [event])
  }
  const of = <K extends HistoryEvent['k']>(kind: K) => (byKind.get(kind) ?? []) as EventOf<K>[]
  const modes = new Map(promised.keys.map(({ op, mode }) => [op, mode]))
  const sunk = of('sunk').map(({ op, part, call, fence, nonce }) => ({ op, part, call, fence, nonce }))
  const rows = of('row').map(({ op, call, fence, nonce }) => ({ op, part: 'all', call, fence, nonce }))
  return {
    promised,
    history,
    lossy,
    of,
    calls: new Map(of('invoke').map((call) => [call.call, call])),
    effects: [...sunk, ...rows],
    modeOf: (op) => modes.get(op),
    report: (rule, message) => void violations.push({ rule, message }),
  }
}

/** Groups by a name. */
export function groupBy<T>(all: readonly T[], nameOf: (one: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>()
  for (const one of all) {
    const name = nameOf(one)
    const group = groups.get(name)
    if (group) group.push(one)
    else groups.set(name, [one])
  }
  return groups
}
