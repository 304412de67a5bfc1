import type { OperationStore, StoreCapabilities } from '../core/store.ts'
import { systemClock, systemTimers } from '../core/system.ts'
import type { ConformanceCase } from './conformance-case.ts'
import { withSkips } from './conformance-case.ts'

/** A store opened for one case. */
export interface OpenedStore<S> {
  /** At least two independent connections to the same data. A store inside one process may repeat itself. */
  readonly stores: readonly [S, S, ...S[]]
  /** Moves the clock of the store on by `ms`. Absent: the store runs on real time and the cases wait. */
  advance?(ms: number): void | Promise<void>
  /** Closes every connection and removes the data. */
  close(): Promise<void>
}

/** What a suite needs to know of a store. */
export interface StoreHarness<S extends OperationStore = OperationStore> {
  /** What the store says it can do; decides what is asked of it. One case checks that it says the same itself. */
  readonly capabilities: StoreCapabilities
  /** Opens a fresh, empty, migrated store. */
  open(): Promise<OpenedStore<S>>
  /** The short lease of the cases, in ms. Default 1,000 with `advance`, 400 on real time: raise it for a slow server. */
  readonly unitMs?: number
  /** How long a wake or a close may take at most, in ms of real time. Default 5,000. */
  readonly patienceMs?: number
  /** Cases of this suite not asked of this store: name and reason. A name that no case has is a `TypeError`. */
  readonly skip?: Readonly<Record<string, string>>
  /** The model case: how many command sequences (default 100 with `advance`, 10 on real time), or `false` for none. */
  readonly model?: false | { readonly runs?: number; readonly seed?: number }
}

/** What one case works with. */
export interface Rig<S, Opened = OpenedStore<S>> {
  /** What the harness opened. */
  readonly opened: Opened
  /** One connection… */
  readonly a: S
  /** …and another one. */
  readonly b: S
  readonly stores: readonly S[]
  /** A short time: leases and retentions that a case lets end. In ms. */
  readonly unitMs: number
  /** A time that does not end within a case. In ms. */
  readonly longMs: number
  /** How long a wake or a close may take at most, in ms of real time. */
  readonly patienceMs: number
  /** Whether time stands still between two calls of `pass`. */
  readonly exactTime: boolean
  /** Lets `ms` go by on the clock of the store. */
  pass(ms: number): Promise<void>
  /**
   * Begins to watch the time: what it answers tells whether something made from now on for `ms` must still last. On real
   * time a busy machine may take longer than that to make it and to look.
   */
  lasts(ms: number): () => boolean
}

/** A case, before it is bound to a harness. */
export interface StoreCase<S, Opened = OpenedStore<S>> {
  readonly name: string
  /** Why it cannot be asked of a store with these capabilities; nothing when it can. */
  readonly unless?: (capabilities: StoreCapabilities) => string | undefined
  readonly timeoutMs?: number
  run(rig: Rig<S, Opened>): Promise<void>
}

/** Binds cases to a harness: each opens its own store and closes it whatever happens. */
export function bindCases<S extends OperationStore, Opened extends OpenedStore<S> = OpenedStore<S>>(
  harness: Omit<StoreHarness<S>, 'open'> & { open(): Promise<Opened> },
  cases: readonly StoreCase<S, Opened>[],
): readonly ConformanceCase[] {
  const bound = cases.map((one): ConformanceCase => {
    const reason = one.unless?.(harness.capabilities)
    return {
      name: one.name,
      ...(reason === undefined ? {} : { skip: reason }),
      ...(one.timeoutMs === undefined ? {} : { timeoutMs: one.timeoutMs }),
      async run() {
        const opened = await harness.open()
        try {
          await one.run(rigOf(harness, opened))
        } finally {
          await opened.close()
        }
      },
    }
  })
  return withSkips(bound, harness.skip)
}

/** How much longer than asked a case waits on real time, so that coarse clocks agree that it has gone by. */
const MARGIN_MS = 15

/** The settings of one opened store. */
function rigOf<S extends OperationStore, Opened extends OpenedStore<S>>(
  harness: Pick<StoreHarness<S>, 'unitMs' | 'patienceMs'>,
  opened: Opened,
): Rig<S, Opened> {
  const exactTime = opened.advance !== undefined
  return {
    opened,
    a: opened.stores[0],
    b: opened.stores[1],
    stores: opened.stores,
    unitMs: harness.unitMs ?? (exactTime ? 1000 : 400),
    longMs: 3_600_000,
    patienceMs: harness.patienceMs ?? 5_000,
    exactTime,
    pass: async (ms) => {
      if (opened.advance) await opened.advance(ms)
      else await new Promise<void>((resolve) => systemTimers.after(ms + MARGIN_MS, resolve))
    },
    lasts: (ms) => {
      const begunAt = systemClock.monotonic()
      // The store may count in whole ms.
      return () => exactTime || systemClock.monotonic() - begunAt < ms - 1
    },
  }
}

/** Needs the fence to outlive the record. */
export function unlessFencing(capabilities: StoreCapabilities): string | undefined {
  return capabilities.fencing ? undefined : 'the store declares no fencing'
}

/** Needs {@link OperationCatalog}. */
export function unlessListing(capabilities: StoreCapabilities): string | undefined {
  return capabilities.listing ? undefined : 'the store declares no listing'
}

/** Needs waiters to be woken. */
export function unlessPush(capabilities: StoreCapabilities): string | undefined {
  return capabilities.push ? undefined : 'the store declares no push'
}
