import { createPrng, type Prng } from '../simulation/prng.ts'
import type { PlanSetting, TrialPlan } from './harness/trial-kind.ts'
import { type Disturbances, disturb } from './plan-faults.ts'

/** How an operation is made safe, which decides what may be asked of it afterwards. */
export type Mode =
  /** `onCrash: 'hold'`, an effect in the sink. */
  | 'hold'
  /** The same with a `reconcile` that asks the sink and is told the truth. */
  | 'reconciled'
  /** `onCrash: 'rerun'`, an effect in the sink: may repeat. */
  | 'rerun'
  /** `onCrash: 'rerun'`, and the sink deduplicates by the downstream key. */
  | 'downstream'
  /** `onCrash: 'rerun'` with three steps: two that may repeat and are deduplicated, between them one that holds. */
  | 'steps'
  /** The record, a business row and two accounts in one transaction. */
  | 'transaction'

/** One operation of a trial. */
export interface PlannedKey {
  /** Scope and key in one word, as histories name it. */
  readonly op: string
  readonly scope: string
  readonly key: string
  readonly mode: Mode
  /** The accounts that its transaction moves, in this order: two keys with the same accounts may deadlock. */
  readonly accounts: readonly [number, number]
}

/** How the work of one call ends. */
export type Behaviour = 'ok' | 'no-effect' | 'throw-before' | 'throw-after' | 'final'

/** One call of one caller. */
export interface PlannedCall {
  readonly id: string
  /** When, in ms from the start of the trial. */
  readonly at: number
  readonly worker: number
  /** Index of its key. */
  readonly key: number
  readonly input: number
  readonly behaviour: Behaviour
  readonly beforeMs: number
  readonly afterMs: number
  readonly whenRunning: 'wait' | 'reject'
  readonly waitMs: number
  /** How often this caller asks again after an error that allows it. */
  readonly retries: number
}

/** Everything that a seed decides about one trial. What the processes make of it, no seed decides. */
export interface StorePlan extends TrialPlan, Disturbances {
  /** The run that it belongs to. */
  readonly run: string
  readonly cache: boolean
  readonly keys: readonly PlannedKey[]
  readonly calls: readonly PlannedCall[]
}

/** What a plan may use. */
export interface PlanRoom extends PlanSetting {
  readonly modes: readonly Mode[]
}

/** How long a service with leases of 300 to 500 ms lets a call of its store take, in ms. */
const TIMEOUT_MS = 600

const WORKERS = 3
const KEYS = 8
const CALLS = 34

/** Makes the plan of one seed. */
export function makePlan(seed: number, room: PlanRoom): StorePlan {
  const prng = createPrng(seed)
  const leaseMs = Math.round(prng.between(300, 500) * room.pace)
  const activeMs = Math.round(leaseMs * 2.5)
  const keys = Array.from({ length: KEYS }, (_, index) => makeKey(prng, seed, index, room))
  const calls = Array.from({ length: CALLS }, (_, index) => makeCall(prng, index, activeMs, leaseMs))
  const shape = { workers: WORKERS, activeMs, leaseMs }
  const timeoutMs = Math.round(TIMEOUT_MS * room.pace)
  return {
    seed,
    run: room.run,
    ...shape,
    timeoutMs,
    emptyMs: leaseMs / 4,
    cache: prng.chance(0.5),
    keys,
    calls,
    ...disturb(prng, shape, room.faults),
  }
}

/** The name of a trial at the sink, and the scope of its instances. */
export function trialOf({ run, seed }: Pick<StorePlan, 'run' | 'seed'>): string {
  return `${run}.${seed}`
}

/** The calls that ask for every operation once more, after all faults have ended. */
export function probeCalls(plan: StorePlan, worker: number, workers: number): readonly PlannedCall[] {
  return plan.keys.flatMap((_, key) =>
    key % workers === worker
      ? [
          {
            id: `p${key}`,
            at: 0,
            worker,
            key,
            input: 1,
            behaviour: 'ok' as const,
            beforeMs: 0,
            afterMs: 0,
            whenRunning: 'wait' as const,
            waitMs: plan.leaseMs * 3,
            retries: 1000,
          },
        ]
      : [],
  )
}

/** The text that only callers of this operation with this input may ever see. */
export function canaryOf(op: string, input: number): string {
  return `canary<${op}|${input}>`
}

function makeKey(prng: Prng, seed: number, index: number, room: PlanRoom): PlannedKey {
  // Every mode in turn, so that each trial has most of them; two scopes share the names of their keys.
  const mode = room.modes[(index + seed) % room.modes.length] ?? 'hold'
  const scope = `${room.run}.${seed}.${index % 2 === 0 ? 'a' : 'b'}`
  const key = `k${index >> 1}`
  const first = prng.int(2)
  return { op: `${scope}/${key}`, scope, key, mode, accounts: first === 0 ? [0, 1] : [1, 0] }
}

function makeCall(prng: Prng, index: number, activeMs: number, leaseMs: number): PlannedCall {
  // The first calls are one for each key; the others crowd on few of them.
  const key = index < KEYS ? index : Math.min(prng.int(KEYS), prng.int(KEYS))
  const long = prng.chance(0.2)
  return {
    id: `c${index}`,
    at: Math.round(index < KEYS ? prng.between(0, activeMs / 2) : prng.between(0, activeMs)),
    worker: prng.int(WORKERS),
    key,
    input: prng.chance(0.06) ? 2 : 1,
    behaviour: behaviour(prng),
    beforeMs: Math.round(long ? prng.between(0.3, 1.2) * leaseMs : prng.between(0, 20)),
    afterMs: Math.round(long ? prng.between(0, 0.6) * leaseMs : prng.between(0, 20)),
    whenRunning: prng.chance(0.75) ? 'wait' : 'reject',
    waitMs: Math.round(prng.between(0.5, 2) * leaseMs),
    retries: prng.int(3),
  }
}

function behaviour(prng: Prng): Behaviour {
  const drawn = prng.fraction()
  if (drawn < 0.06) return 'no-effect'
  if (drawn < 0.09) return 'throw-after'
  if (drawn < 0.11) return 'throw-before'
  if (drawn < 0.13) return 'final'
  return 'ok'
}
