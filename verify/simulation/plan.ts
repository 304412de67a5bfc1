import { createPrng, type Prng } from './prng.ts'

/** What kinds of fault a simulated run may meet. */
export type Lane = 'calm' | 'single' | 'network' | 'process' | 'all' | 'failover'

/** How the work of one call behaves. `ok` has its effect and answers; the others fail in their own way. */
export type Behaviour =
  | 'ok'
  /** Throws, marked as without effect, before its effect. */
  | 'no-effect'
  /** Throws an unmarked error before its effect. */
  | 'throw-before'
  /** Throws an unmarked error after its effect. */
  | 'throw-after'
  /** Ends in a final failure without an effect. */
  | 'final'
  /** Ends in a final failure after its effect. */
  | 'final-after'
  /** Answers a value that cannot be stored. */
  | 'unstorable'
  /** Throws an unmarked error because an operation nested in it failed before anything happened there. */
  | 'nested-failure'
  /** Runs its own key again inside itself. */
  | 'reentrant'

/** One key, and what all calls that name it agree on. */
export interface PlannedKey {
  readonly name: string
  readonly scope: string
  readonly onCrash: 'hold' | 'rerun'
  readonly onError?: 'hold' | 'release' | 'store'
  /** How long its outcome is remembered, in ms; absent for longer than anybody asks. */
  readonly retentionMs?: number
  /** The work looks at `op.signal` right before each effect and stops when it has aborted. */
  readonly careful: boolean
  /** The work is made of this many steps; 0 is work without steps. */
  readonly steps: number
  /** In a key with steps: whether the second one holds on a crash although the operation reruns. */
  readonly holdingStep: boolean
  /** Who can be asked what became of it: nobody, one who knows, or one who never knows. */
  readonly oracle: 'none' | 'truth' | 'silent'
  /** How long the oracle takes to answer, in ms. */
  readonly oracleMs: number
}

/** Whether an operation promises at most one effect whatever happens. */
export function isStrict(key: PlannedKey | undefined): boolean {
  return key?.onCrash === 'hold' && key.onError !== 'release'
}

/** One call of one key. */
export interface PlannedCall {
  readonly id: number
  readonly at: number
  readonly process: number
  /** Index of its key. */
  readonly key: number
  /** Two calls with the same number have the same input. */
  readonly input: number
  readonly behaviour: Behaviour
  /** How long the work takes before and after its effect, in ms. */
  readonly beforeMs: number
  readonly afterMs: number
  readonly whenRunning: 'wait' | 'reject'
  readonly waitMs: number
  /** When the caller loses its patience, in ms after the call; absent when it never does. */
  readonly abortMs?: number
  /** How often the caller tries again after an error that allows it. */
  readonly retries: number
}

/** Something that befalls a process or the store. */
export type PlannedFault =
  | { readonly kind: 'crash'; readonly at: number; readonly process: number; readonly downMs: number }
  | { readonly kind: 'pause'; readonly at: number; readonly process: number; readonly forMs: number }
  | { readonly kind: 'clock-jump'; readonly at: number; readonly process: number; readonly byMs: number }
  | { readonly kind: 'outage'; readonly at: number; readonly forMs: number }
  | { readonly kind: 'failover'; readonly at: number; readonly loses: number; readonly downMs: number }

/** One process: how its clocks and its network differ from the store's. */
export interface PlannedProcess {
  /** Its wall clock is off by this much, in ms. */
  readonly skewMs: number
  /** Its clocks run this much faster than the store's; at most 1 % either way. */
  readonly drift: number
  readonly cache: boolean
  /** Its store can wake waiters. */
  readonly push: boolean
}

/** How often each leg of a store call goes wrong, as probabilities. */
export interface NetworkPlan {
  readonly seed: number
  readonly loseRequest: number
  readonly loseReply: number
  readonly reset: number
  readonly late: number
  readonly duplicate: number
  readonly slow: number
  /** How long one leg of a call takes at most when nothing goes wrong, in ms. */
  readonly legMs: number
  /** After how long a process gives a call of the store up, in ms. */
  readonly timeoutMs: number
  /** The driver has no time limit: what is lost is never answered. */
  readonly hangs: boolean
  /** The one message, by its number, of which the reply is lost. */
  readonly only?: number
  /** Messages, by their number, that meet no fault: how a failing run is made smaller. */
  readonly spared: readonly number[]
}

/** Everything that happens in one simulated run, except what the engine decides. */
export interface Plan {
  readonly seed: number
  readonly lane: Lane
  readonly leaseMs: number
  readonly processes: readonly PlannedProcess[]
  readonly keys: readonly PlannedKey[]
  readonly calls: readonly PlannedCall[]
  readonly faults: readonly PlannedFault[]
  readonly network: NetworkPlan
  /** When all faults end, in ms. */
  readonly healAt: number
}

const LANES: readonly Lane[] = [
  'calm',
  'network',
  'process',
  'all',
  'single',
  'network',
  'process',
  'all',
  'all',
  'failover',
]

/** Draws the plan of a seed. */
export function makePlan(seed: number): Plan {
  const prng = createPrng(Math.imul(seed, 0x9e3779b1) ^ 0x51ed270b)
  // Neighbouring seeds go through the lanes in turn, so that a short campaign visits all of them.
  const lane = LANES[seed % LANES.length] ?? 'all'
  const leaseMs = prng.pick([60, 100, 160])
  const span = leaseMs * prng.between(1, 4)
  const processes = list(1 + prng.int(3), () => drawProcess(prng, lane))
  const keys = list(prng.chance(0.7) ? 1 : 2, (index) => drawKey(prng, index, leaseMs))
  const calls = list(2 + prng.int(5), (id) => drawCall(prng, id, { span, leaseMs, processes, keys }))
  return {
    seed,
    lane,
    leaseMs,
    processes,
    keys,
    calls,
    faults: drawFaults(prng, lane, span, leaseMs, processes.length),
    network: drawNetwork(prng, lane, leaseMs),
    healAt: span + leaseMs,
  }
}

function drawProcess(prng: Prng, lane: Lane): PlannedProcess {
  return {
    skewMs: lane === 'calm' ? 0 : Math.round(prng.between(-5_000, 5_000)),
    drift: lane === 'calm' ? 0 : prng.between(-0.01, 0.01),
    cache: prng.chance(0.5),
    push: prng.chance(0.5),
  }
}

function drawKey(prng: Prng, index: number, leaseMs: number): PlannedKey {
  const forgets = prng.chance(0.1)
  const onCrash = prng.chance(0.6) ? 'hold' : 'rerun'
  const onError = prng.pick<PlannedKey['onError']>([
    undefined,
    undefined,
    undefined,
    'hold',
    'release',
    'store',
  ])
  return {
    name: prng.pick(['order', '__proto__', 'a:b', 'c']),
    scope: `sim${index}`,
    onCrash,
    ...(onError === undefined ? {} : { onError }),
    careful: prng.chance(0.7),
    steps: prng.chance(0.25) ? 2 + prng.int(2) : 0,
    holdingStep: prng.chance(0.3),
    // What an oracle that looks at the sink says of a forgotten life would be taken for this one.
    oracle: forgets ? 'none' : prng.pick(['none', 'truth', 'truth', 'silent']),
    ...(forgets ? { retentionMs: leaseMs * prng.between(1, 5) } : {}),
    oracleMs: prng.chance(0.8) ? prng.between(0, 10) : prng.between(0, 2 * leaseMs),
  }
}

interface CallSpace {
  readonly span: number
  readonly leaseMs: number
  readonly processes: readonly PlannedProcess[]
  readonly keys: readonly PlannedKey[]
}

function drawCall(prng: Prng, id: number, space: CallSpace): PlannedCall {
  const { span, leaseMs } = space
  const takes = () => (prng.chance(0.75) ? prng.between(0, 15) : prng.between(0, 1.5 * leaseMs))
  return {
    id,
    // Half of the calls come in a burst, where the races are.
    at: prng.chance(0.5) ? prng.between(0, 10) : prng.between(0, span),
    process: prng.int(space.processes.length),
    key: prng.int(space.keys.length),
    input: prng.chance(0.12) ? 2 : 1,
    behaviour: drawBehaviour(prng),
    beforeMs: takes(),
    afterMs: takes(),
    whenRunning: prng.chance(0.7) ? 'wait' : 'reject',
    waitMs: prng.chance(0.5) ? 10 * leaseMs : prng.between(0, 2 * leaseMs),
    ...(prng.chance(0.12) ? { abortMs: prng.between(0, 1.5 * leaseMs) } : {}),
    retries: prng.int(3),
  }
}

function drawBehaviour(prng: Prng): Behaviour {
  if (prng.chance(0.62)) return 'ok'
  return prng.pick([
    'no-effect',
    'no-effect',
    'throw-before',
    'throw-after',
    'throw-after',
    'final',
    'final-after',
    'unstorable',
    'nested-failure',
    'reentrant',
  ])
}

function drawFaults(
  prng: Prng,
  lane: Lane,
  span: number,
  leaseMs: number,
  processes: number,
): PlannedFault[] {
  const faults: PlannedFault[] = []
  const process = () => prng.int(processes)
  if (lane === 'process' || lane === 'all' || lane === 'failover') {
    for (let count = 1 + prng.int(3); count > 0; count--) {
      const at = prng.between(0, span)
      const roll = prng.fraction()
      if (roll < 0.4)
        faults.push({ kind: 'crash', at, process: process(), downMs: prng.between(1, 2 * leaseMs) })
      else if (roll < 0.9)
        faults.push({ kind: 'pause', at, process: process(), forMs: prng.between(0.2, 3) * leaseMs })
      else faults.push({ kind: 'clock-jump', at, process: process(), byMs: prng.between(-3, 3) * leaseMs })
    }
  }
  if ((lane === 'network' || lane === 'all') && prng.chance(0.3)) {
    faults.push({ kind: 'outage', at: prng.between(0, span), forMs: prng.between(0.1, 2.5) * leaseMs })
  }
  if (lane === 'failover') {
    faults.push({
      kind: 'failover',
      at: prng.between(0, span),
      loses: 1 + prng.int(4),
      downMs: prng.between(2, leaseMs),
    })
  }
  return faults
}

function drawNetwork(prng: Prng, lane: Lane, leaseMs: number): NetworkPlan {
  const faulty = lane === 'network' || lane === 'all'
  // Some runs have one kind of fault often, others a little of each.
  const rate = () => (faulty ? prng.pick([0, 0.02, 0.05, 0.25]) : 0)
  return {
    seed: prng.int(2 ** 31),
    loseRequest: rate(),
    loseReply: rate(),
    reset: rate(),
    late: rate(),
    duplicate: rate(),
    slow: rate(),
    legMs: 2.7,
    timeoutMs: lane === 'single' ? 0.25 * leaseMs : prng.between(0.2, 1.5) * leaseMs,
    hangs: lane !== 'single' && prng.chance(0.25),
    ...(lane === 'single' ? { only: prng.int(12) } : {}),
    spared: [],
  }
}

function list<T>(length: number, make: (index: number) => T): T[] {
  return Array.from({ length }, (_, index) => make(index))
}
