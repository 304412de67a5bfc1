import { systemClock, systemTimers } from '../core/system.ts'
import type { LockBackend, LockCapabilities } from '../locks/lock-backend.ts'
import type { ConformanceCase } from './conformance-case.ts'
import { withSkips } from './conformance-case.ts'

/** A backend of locks opened for one case. */
export interface OpenedLocks<B extends LockBackend = LockBackend> {
  /** At least two independent connections to the same locks. A backend inside one process may repeat itself. */
  readonly backends: readonly [B, B, ...B[]]
  /** Moves the clock of the backend on by `ms`. Absent: it runs on real time and the cases wait. */
  advance?(ms: number): void | Promise<void>
  /** Closes every connection and removes the data. */
  close(): Promise<void>
}

/** What the suite needs to know of a backend of locks. */
export interface LockHarness<B extends LockBackend = LockBackend> {
  /** What the backend says it can do; decides what is asked of it. One case checks that it says the same itself. */
  readonly capabilities: LockCapabilities
  /** Opens fresh locks that nobody has used, with whatever they need created. */
  open(): Promise<OpenedLocks<B>>
  /**
   * The short ttl of the cases, in ms. Default 1,000 with `advance`, 400 on real time, and never less than the backend's
   * `minTtlMs`: raise it for a slow server.
   */
  readonly unitMs?: number
  /** How much later than asked an end may come, in ms, where the backend counts in coarse steps. Default 0. */
  readonly slackMs?: number
  /** How long a wake or a close may take at most, in ms of real time. Default 5,000. */
  readonly patienceMs?: number
  /** Cases of this suite not asked of this backend: name and reason. A name that no case has is a `TypeError`. */
  readonly skip?: Readonly<Record<string, string>>
  /** The model case: how many command sequences (default 200 with `advance`, 10 on real time), or `false` for none. */
  readonly model?: false | { readonly runs?: number; readonly seed?: number }
}

/** What one case works with. */
export interface LockRig {
  /** One connection… */
  readonly a: LockBackend
  /** …and another one. */
  readonly b: LockBackend
  readonly backends: readonly LockBackend[]
  readonly capabilities: LockCapabilities
  /** A short time: what a case lets end. In ms. */
  readonly unitMs: number
  /** How much later an end may come. In ms. */
  readonly slackMs: number
  /** A time that does not end within a case. In ms. */
  readonly longMs: number
  /** How long a wake or a close may take at most, in ms of real time. */
  readonly patienceMs: number
  /** Whether time stands still between two calls of `pass`. */
  readonly exactTime: boolean
  /** So many fences for one grant, or as many as the backend can give. */
  fencesOf(count: number): number
  /** Lets `ms` go by on the clock of the backend. */
  pass(ms: number): Promise<void>
  /** Lets everything end that was to end after `unitMs`. */
  lapse(): Promise<void>
  /**
   * Runs what has to be over before a lease of `unitMs` is, and nothing else. On real time a stall of the machine can take
   * longer than that, and then nothing is told by what came of it: it is run again, so let it begin with a fresh key.
   */
  inTime<T>(act: () => Promise<T>): Promise<T>
}

/** A case, before it is bound to a harness. */
export interface LockCase {
  readonly name: string
  /** Why it cannot be asked of a backend with these capabilities; nothing when it can. */
  readonly unless?: (capabilities: LockCapabilities) => string | undefined
  readonly timeoutMs?: number
  run(rig: LockRig): Promise<void>
}

/** Binds cases to a harness: each opens its own locks and closes them whatever happens. */
export function bindLockCases(harness: LockHarness, cases: readonly LockCase[]): readonly ConformanceCase[] {
  const bound = cases.map((one): ConformanceCase => {
    const reason = one.unless?.(harness.capabilities)
    return {
      name: one.name,
      ...(reason === undefined ? {} : { skip: reason }),
      timeoutMs: one.timeoutMs ?? TIMEOUT_MS,
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

/** Servers that count in whole seconds need several for a case. */
const TIMEOUT_MS = 60_000

/** The part of `unitMs` that counts as in time: a backend may call a grant spent of which little is left. */
const IN_TIME = 0.8

/** How much longer than asked a case waits on real time, so that coarse clocks agree that it has gone by. */
const MARGIN_MS = 15

function rigOf(harness: LockHarness, opened: OpenedLocks): LockRig {
  const [a, b] = opened.backends
  const exactTime = opened.advance !== undefined
  const unitMs = Math.max(harness.unitMs ?? (exactTime ? 1000 : 400), a.minTtlMs)
  const slackMs = harness.slackMs ?? 0
  const pass = async (ms: number) => {
    if (opened.advance) await opened.advance(ms)
    else await new Promise<void>((resolve) => systemTimers.after(ms + MARGIN_MS, resolve))
  }
  return {
    a,
    b,
    backends: opened.backends,
    capabilities: harness.capabilities,
    unitMs,
    slackMs,
    longMs: 3_600_000,
    patienceMs: harness.patienceMs ?? 5_000,
    exactTime,
    fencesOf: (count) => Math.min(count, harness.capabilities.maxFences ?? count),
    pass,
    lapse: () => pass(unitMs + slackMs),
    async inTime(act) {
      for (;;) {
        const from = systemClock.monotonic()
        const isInTime = () => exactTime || systemClock.monotonic() - from < unitMs * IN_TIME
        try {
          const answer = await act()
          if (isInTime()) return answer
        } catch (error) {
          if (isInTime()) throw error
        }
      }
    },
  }
}

/** Needs fences. */
export function unlessFences(capabilities: LockCapabilities): string | undefined {
  return capabilities.fencing ? undefined : 'the backend declares no fences'
}

/** Needs more than one fence for a grant. */
export function unlessReserve(capabilities: LockCapabilities): string | undefined {
  if (capabilities.maxFences === 1) return 'the backend declares one fence for a grant'
  return unlessFences(capabilities)
}

/** Needs waiters to be served in order. */
export function unlessPlaces(capabilities: LockCapabilities): string | undefined {
  return capabilities.fifo ? undefined : 'the backend declares no order of waiters'
}

/** Needs readers and permits. */
export function unlessShared(capabilities: LockCapabilities): string | undefined {
  return capabilities.shared ? undefined : 'the backend declares no shared locks'
}

/** Needs marks. */
export function unlessMarks(capabilities: LockCapabilities): string | undefined {
  return capabilities.marks ? undefined : 'the backend declares no marks'
}

/** Needs waiters to be woken. */
export function unlessWakes(capabilities: LockCapabilities): string | undefined {
  return capabilities.push ? unlessPlaces(capabilities) : 'the backend declares no push'
}

/** The reason for cases of places that become grants. */
export function unlessGrants(capabilities: LockCapabilities): string | undefined {
  return capabilities.grantsPlaces ? unlessWakes(capabilities) : 'the backend declares no grants of places'
}

/** The first reason of several, if there is one. */
export function unlessAll(
  ...reasons: readonly ((capabilities: LockCapabilities) => string | undefined)[]
): (capabilities: LockCapabilities) => string | undefined {
  return (capabilities) => reasons.map((reason) => reason(capabilities)).find((why) => why !== undefined)
}
