/** What a dedupe promises, in memory and without a store: random calls are held against it. */
import fc from 'fast-check'
import { createDedupe, type Dedupe } from '../../src/dedupe/index.ts'
import type { DedupeRig, OpenRig } from './dedupe-rig.ts'

/** Far longer than a run takes, so that only the steps of the run let time go by. */
const STEP_MS = 60_000
const WINDOW_MS = 2.5 * STEP_MS

type Kind = 'fixed' | 'sliding'

type Command =
  | {
      readonly do: 'sight'
      readonly on: 0 | 1
      readonly kind: Kind
      readonly item: number
      readonly markId?: string
    }
  | {
      readonly do: 'filter'
      readonly on: 0 | 1
      readonly kind: Kind
      readonly items: readonly number[]
      readonly markId?: string
    }
  | { readonly do: 'forget'; readonly on: 0 | 1; readonly kind: Kind; readonly items: readonly number[] }
  | { readonly do: 'advance'; readonly steps: number }
  | { readonly do: 'purge'; readonly limit: number }

const on = fc.constantFrom<0 | 1>(0, 1)
const kind = fc.constantFrom<Kind>('fixed', 'sliding')
const item = fc.nat(4)
const sight = fc.option(fc.constantFrom('m1', 'm2'), { nil: undefined })
const named = <T extends { markId?: string | undefined }>({ markId, ...rest }: T) =>
  (markId === undefined ? rest : { ...rest, markId }) as Omit<T, 'markId'> & { markId?: string }

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('sight' as const), on, kind, item, markId: sight }).map(named),
  },
  {
    weight: 3,
    arbitrary: fc
      .record({
        do: fc.constant('filter' as const),
        on,
        kind,
        items: fc.array(item, { maxLength: 6 }),
        markId: sight,
      })
      .map(named),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('forget' as const),
      on,
      kind,
      items: fc.array(item, { maxLength: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('advance' as const), steps: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('purge' as const), limit: fc.integer({ min: 1, max: 3 }) }),
  },
)

interface Entry {
  markId: string
  until: number
}

class Model {
  readonly #entries = new Map<string, Entry>()
  #now = 0
  #calls = 0

  sights(kind: Kind, items: readonly number[], markId = `call ${this.#calls++}`): number[] {
    return [...new Set(items)].filter((item) => {
      const name = `${kind} ${item}`
      const found = this.#entries.get(name)
      if (found === undefined || found.until <= this.#now) {
        this.#entries.set(name, { markId, until: this.#now + WINDOW_MS })
        return true
      }
      if (kind === 'sliding') found.until = this.#now + WINDOW_MS
      return found.markId === markId
    })
  }

  forget(kind: Kind, items: readonly number[]): number {
    return [...new Set(items)].filter((item) => {
      const found = this.#entries.get(`${kind} ${item}`)
      this.#entries.delete(`${kind} ${item}`)
      return found !== undefined && found.until > this.#now
    }).length
  }

  advance(steps: number): void {
    this.#now += steps * STEP_MS
  }
}

/** Runs random calls over two connections against the model. @throws where a store answers something else. */
export async function modelRun(
  open: OpenRig,
  { runs, seed }: { runs: number; seed?: number },
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 40 }), async (commands) => {
      const rig = await open()
      try {
        await follow(rig, commands)
      } finally {
        await rig.close()
      }
    }),
    { numRuns: runs, ...(seed === undefined ? {} : { seed }) },
  )
}

async function follow(rig: DedupeRig, commands: readonly Command[]): Promise<void> {
  const model = new Model()
  const make = (kind: Kind): readonly Dedupe[] =>
    rig.stores.map((store) =>
      createDedupe({ store, scope: kind, windowMs: WINDOW_MS, sliding: kind === 'sliding' }),
    )
  const dedupes = { fixed: make('fixed'), sliding: make('sliding') }
  const of = (one: { readonly kind: Kind; readonly on: 0 | 1 }) => dedupes[one.kind][one.on] as Dedupe
  for (const [place, one] of commands.entries()) {
    const [expected, found] = await answersOf(model, rig, of, one)
    if (JSON.stringify(expected) !== JSON.stringify(found))
      throw new Error(
        `step ${place}, ${JSON.stringify(one)}: ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`,
      )
  }
}

async function answersOf(
  model: Model,
  rig: DedupeRig,
  of: (one: { readonly kind: Kind; readonly on: 0 | 1 }) => Dedupe,
  one: Command,
): Promise<readonly [expected: unknown, found: unknown]> {
  switch (one.do) {
    case 'sight': {
      const options = one.markId === undefined ? {} : { markId: one.markId }
      return [
        model.sights(one.kind, [one.item], one.markId).length === 1,
        await of(one).firstTime(one.item, options),
      ]
    }
    case 'filter': {
      const options = one.markId === undefined ? {} : { markId: one.markId }
      return [model.sights(one.kind, one.items, one.markId), await of(one).filterNew(one.items, options)]
    }
    case 'forget':
      return [model.forget(one.kind, one.items), await of(one).forget(one.items)]
    case 'advance':
      model.advance(one.steps)
      return [undefined, await rig.advance(one.steps * STEP_MS)]
    case 'purge': {
      // Which of what has expired goes first is the store's choice: how much is left of it cannot be told.
      const found = await of({ kind: 'fixed', on: 0 }).purge(one.limit)
      return [true, found <= (rig.keepsExpired ? one.limit : 0)]
    }
  }
}
