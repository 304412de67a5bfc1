import type { OnCrash } from '../../core/operation.ts'

/** One step of a random sequence, as plain data, so that a counterexample can be read. */
export type Command = { readonly conn: number; readonly key: number } & (
  | {
      readonly do: 'claim'
      readonly who: number
      readonly fresh: boolean
      readonly fingerprint: string | undefined
      readonly brief: boolean
      readonly forgetful: boolean
      readonly onCrash: OnCrash
      readonly again: boolean
    }
  | { readonly do: 'renew'; readonly of: number; readonly brief: boolean }
  | {
      readonly do: 'checkpoint'
      readonly of: number
      readonly step: string
      readonly done: boolean
      readonly hold: boolean
    }
  | { readonly do: 'complete'; readonly of: number; readonly failed: boolean; readonly forgetful: boolean }
  | { readonly do: 'release' | 'hold'; readonly of: number }
  | { readonly do: 'resolve'; readonly wrongFence: boolean; readonly done: boolean }
  | {
      readonly do: 'takeTurn'
      readonly wrongFence: boolean
      readonly behind: number
      readonly holding: boolean
      readonly brief: boolean
    }
  | { readonly do: 'pass'; readonly part: number }
  | { readonly do: 'sweep' }
  | { readonly do: 'purge' }
)

type FastCheck = typeof import('fast-check')

/** Draws commands: mostly about one key and the latest claim, so that a sequence gets somewhere. */
export function anyCommand(fc: FastCheck, connections: number): import('fast-check').Arbitrary<Command> {
  const conn = fc.nat({ max: connections - 1 })
  const key = fc.constantFrom(0, 0, 1)
  const of = fc.constantFrom(0, 0, 0, 1, 2, 4)
  const flag = fc.boolean()
  const at = { conn, key }
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('claim' as const),
        ...at,
        who: fc.nat({ max: 2 }),
        fresh: flag,
        fingerprint: fc.constantFrom('one', 'one', 'two', undefined),
        brief: flag,
        forgetful: fc.constantFrom(false, false, true),
        onCrash: fc.constantFrom('hold' as const, 'rerun' as const),
        again: flag,
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('renew' as const), ...at, of, brief: flag }) },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('checkpoint' as const),
        ...at,
        of,
        step: fc.constantFrom('charge', 'mail'),
        done: flag,
        hold: fc.constantFrom(false, false, true),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('complete' as const),
        ...at,
        of,
        failed: flag,
        forgetful: flag,
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constantFrom('release' as const, 'hold' as const), ...at, of }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('resolve' as const),
        ...at,
        wrongFence: fc.constantFrom(false, false, true),
        done: flag,
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('takeTurn' as const),
        ...at,
        wrongFence: fc.constantFrom(false, false, false, true),
        behind: fc.constantFrom(0, 0, 0, 1),
        holding: fc.constantFrom(false, false, true),
        brief: flag,
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('pass' as const),
        ...at,
        part: fc.constantFrom(0.4, 1, 2.5),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constantFrom('sweep' as const, 'purge' as const), ...at }),
    },
  )
}
