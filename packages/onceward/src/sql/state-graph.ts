import { written } from '../core/known-fields.ts'

/** A state as it is in its column. */
export type State = string | number

/**
 * Which states follow which. Made by {@link declareGraph}. Its functions are properties, so that a state it does not have is an
 * error of the compiler too.
 */
export interface StateGraph<S extends State = State> {
  /** All of them, in the order of the declaration. */
  readonly states: readonly S[]
  /** Whether an edge leads from one to the other. */
  readonly allows: (from: S, to: S) => boolean
  /** The states from which an edge leads to this one. */
  readonly before: (to: S) => readonly S[]
  /** The states to which an edge leads from this one: none, where it is final. */
  readonly after: (from: S) => readonly S[]
}

/**
 * Declares which state may follow which, for `transition`.
 *
 * @param edges - Every state with those that may follow; a final one with `[]`.
 * @throws `TypeError` for a state that is named and not declared, and for an edge from a state to itself.
 * @example
 * import { declareGraph } from 'onceward/sql'
 *
 * const orders = declareGraph({ pending: ['paid', 'cancelled'], paid: ['shipped'], shipped: [], cancelled: [] })
 */
export function declareGraph<S extends State>(
  edges: Readonly<Record<S, readonly NoInfer<S>[]>>,
): StateGraph<S> {
  if (typeof edges !== 'object' || edges === null) {
    throw new TypeError(`declareGraph needs an object of states, not ${written(edges)}`)
  }
  // Keys of an object are texts, also where the column has numbers.
  const after = new Map<string, readonly S[]>()
  for (const [from, to] of Object.entries(edges) as [string, readonly S[]][]) {
    if (!Array.isArray(to)) throw new TypeError(`"${from}" needs a list of the states that may follow, or []`)
    after.set(from, [...to])
  }
  for (const [from, following] of after) {
    for (const to of following) {
      if (!after.has(String(to))) {
        throw new TypeError(
          `"${to}" may follow "${from}" and is not declared; add it, with [] if it is final`,
        )
      }
      if (String(to) === from) {
        throw new TypeError(
          `"${from}" must not follow itself: two callers would both be told that they moved it; see updateVersioned`,
        )
      }
    }
  }
  const known = (state: S): readonly S[] => {
    const following = after.get(String(state))
    if (following) return following
    throw new TypeError(`${written(state)} is no state of this graph; it has ${[...after.keys()].join(', ')}`)
  }
  // Of a state that is numbers, the values that were given tell so.
  const given = new Map<string, S>([...after.values()].flat().map((state) => [String(state), state]))
  const states = [...after.keys()].map((name) => given.get(name) ?? (name as S))
  return Object.freeze({
    states: Object.freeze(states),
    allows(from: S, to: S) {
      known(to)
      return known(from).some((one) => String(one) === String(to))
    },
    before(to: S) {
      known(to)
      return states.filter((from) => known(from).some((one) => String(one) === String(to)))
    },
    after: (from: S) => [...known(from)],
  })
}
