/** One step of a random sequence, as plain data, so that a counterexample can be read. */
export type LockCommand = { readonly conn: number; readonly key: number } & (
  | {
      readonly do: 'acquire'
      readonly shared: boolean
      /** `undefined` asks anew, a number asks again as the one that came so many requests before. */
      readonly again: number | undefined
      readonly brief: boolean
      readonly place: Place
      readonly overtake: boolean
      readonly fences: number
    }
  | { readonly do: 'extend'; readonly of: number; readonly brief: boolean; readonly said: boolean }
  | {
      readonly do: 'release'
      readonly of: number
      readonly next: Place | undefined
      readonly shared: boolean
    }
  | { readonly do: 'transfer'; readonly of: number; readonly to: number | undefined; readonly brief: boolean }
  | { readonly do: 'force'; readonly of: number | undefined; readonly fence: 'first' | 'last' | 'none' }
  | { readonly do: 'mark'; readonly of: number; readonly brief: boolean; readonly text: string }
  | { readonly do: 'pass'; readonly part: number }
)

/** For how long a place is kept. */
export type Place = 'none' | 'brief' | 'long'

type FastCheck = typeof import('fast-check')

/** What may be drawn for a backend. */
export interface Draws {
  readonly connections: number
  readonly shared: boolean
  readonly marks: boolean
  /** Whether anything may end within a sequence. */
  readonly brief: boolean
}

/** Draws commands: mostly about the latest requests, so that a sequence gets somewhere. */
export function anyLockCommand(fc: FastCheck, draws: Draws): import('fast-check').Arbitrary<LockCommand> {
  const at = { conn: fc.nat({ max: draws.connections - 1 }), key: fc.constantFrom(0, 0, 1) }
  const of = fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 5)
  const flag = fc.boolean()
  const brief = draws.brief ? fc.constantFrom(false, false, true) : fc.constant(false)
  const shared = draws.shared ? flag : fc.constant(false)
  const place = draws.brief
    ? fc.constantFrom<Place>('none', 'long', 'long', 'brief')
    : fc.constantFrom<Place>('none', 'long', 'long')
  const acquire = fc.record({
    do: fc.constant('acquire' as const),
    ...at,
    shared,
    again: fc.constantFrom(undefined, undefined, 0, 1, 2, 3, 4),
    brief,
    place,
    overtake: fc.constantFrom(false, false, false, true),
    fences: fc.constantFrom(1, 1, 5),
  })
  const extend = fc.record({ do: fc.constant('extend' as const), ...at, of, brief, said: flag })
  const release = fc.record({
    do: fc.constant('release' as const),
    ...at,
    of,
    next: fc.oneof(fc.constant(undefined), place),
    shared,
  })
  const transfer = fc.record({
    do: fc.constant('transfer' as const),
    ...at,
    of,
    to: fc.constantFrom(undefined, undefined, 0, 1),
    brief,
  })
  const force = fc.record({
    do: fc.constant('force' as const),
    ...at,
    of: fc.constantFrom(undefined, 0, 0, 1, 2),
    fence: fc.constantFrom('first' as const, 'last' as const, 'none' as const),
  })
  const mark = fc.record({
    do: fc.constant('mark' as const),
    ...at,
    of,
    brief,
    text: fc.constantFrom('tick 1', 'tick 2'),
  })
  const pass = fc.record({ do: fc.constant('pass' as const), ...at, part: fc.constantFrom(0.4, 1, 2.5) })
  return fc.oneof(
    { weight: 10, arbitrary: acquire },
    { weight: 3, arbitrary: extend },
    { weight: 6, arbitrary: release },
    { weight: 2, arbitrary: transfer },
    { weight: 1, arbitrary: force },
    ...(draws.marks ? [{ weight: 2, arbitrary: mark }] : []),
    ...(draws.brief ? [{ weight: 3, arbitrary: pass }] : []),
  )
}
