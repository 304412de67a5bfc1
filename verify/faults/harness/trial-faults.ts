import type { Prng } from '../../simulation/prng.ts'
import { befalls, FAULT_KINDS, type FaultKind } from './fault-kinds.ts'

/** What befalls the stores of operations alone. */
const STORE_ONLY = /^(?:store-busy|disk-full|cache-.*|failover|power-cut)$/

/** What befalls the trials of locks and of work from outside. */
export const TRIAL_FAULTS: readonly FaultKind[] = FAULT_KINDS.filter(
  (kind) => befalls(kind) !== 'inside' && !STORE_ONLY.test(kind),
)

/** What goes wrong in processes, with every store. */
export const PROCESS_FAULTS: readonly FaultKind[] = ['kill', 'stop', 'block']

/** Something that is done at a time. */
export interface TrialFault {
  readonly kind: FaultKind
  readonly at: number
  readonly forMs: number
  readonly worker: number
  /** How many replies, how many bytes. */
  readonly amount: number
}

/** The time of a trial that faults are drawn for. */
export interface FaultTime {
  readonly activeMs: number
  readonly leaseMs: number
  readonly workers: number
}

/** Draws what goes wrong within a time; faults of the same part do not overlap. */
export function drawFaults(
  prng: Prng,
  kinds: readonly FaultKind[],
  { activeMs, leaseMs, workers }: FaultTime,
  most: number,
): readonly TrialFault[] {
  const [first, ...others] = kinds
  if (first === undefined) return []
  const faults: TrialFault[] = []
  let at = leaseMs * prng.between(0.3, 1)
  while (faults.length < most && at < activeMs) {
    const kind = prng.pick([first, ...others])
    const forMs = leaseMs * lengthOf(prng, kind)
    faults.push({ kind, at, forMs, worker: prng.int(workers), amount: 1 + prng.int(5) })
    at += forMs + leaseMs * prng.between(0.2, 1.5)
  }
  return faults
}

/** Draws what befalls the workers and the connections of one trial, in the order in which it begins. */
export function drawTrialFaults(
  prng: Prng,
  kinds: readonly FaultKind[],
  time: FaultTime,
  most: { readonly worker: number; readonly connection: number },
): readonly TrialFault[] {
  const draw = (part: 'worker' | 'connection') =>
    drawFaults(
      prng,
      kinds.filter((kind) => befalls(kind) === part),
      time,
      most[part],
    )
  return [...draw('worker'), ...draw('connection')].sort((left, right) => left.at - right.at)
}

/** In leases. */
function lengthOf(prng: Prng, kind: FaultKind): number {
  if (kind === 'kill') return prng.between(0.1, 1)
  // Most pauses are longer than any lease.
  if (kind === 'stop' || kind === 'block') return prng.between(0.5, 3.5)
  return prng.between(0.2, 1.6)
}
