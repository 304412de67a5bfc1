import type { Prng } from '../../simulation/prng.ts'

/** Everything that can be made to happen from outside. */
export const TRIAL_FAULTS = [
  // To a worker process.
  'kill',
  'stop',
  'block',
  // On the connection.
  'net-drop-requests',
  'net-drop-replies',
  'net-cut-on-reply',
  'net-cut-commit',
  'net-delay',
  'net-slice',
  'net-reset',
  'net-half-open',
  'net-partition',
  // To the server.
  'store-kill',
  'store-stop',
  'script-flush',
  'sessions-ended',
  // To the server, which forgets what it knew, or misjudges the time.
  'flush-all',
  'clock-jump',
] as const

/** One of them. */
export type TrialFaultKind = (typeof TRIAL_FAULTS)[number]

/** What goes wrong in processes, with every store. */
export const PROCESS_FAULTS: readonly TrialFaultKind[] = ['kill', 'stop', 'block']

/** What goes wrong on the connection to any server; `net-cut-commit` only where there is a COMMIT. */
export const NETWORK_FAULTS: readonly TrialFaultKind[] = TRIAL_FAULTS.filter(
  (kind) => kind.startsWith('net-') && kind !== 'net-cut-commit',
)

/** What makes a server forget or misjudge the time: known limits, so it happens only where it is asked for. */
export const FORGETTING: readonly TrialFaultKind[] = ['flush-all', 'clock-jump']

/** Something that is done at a time. */
export interface TrialFault {
  readonly kind: TrialFaultKind
  readonly at: number
  readonly forMs: number
  readonly worker: number
  /** How many replies, how many bytes. */
  readonly amount: number
}

/** Which part of a trial a fault befalls. */
export function befalls(kind: TrialFaultKind): 'worker' | 'connection' | 'server' {
  if (PROCESS_FAULTS.includes(kind)) return 'worker'
  return kind.startsWith('net-') ? 'connection' : 'server'
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
  kinds: readonly TrialFaultKind[],
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
  kinds: readonly TrialFaultKind[],
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
function lengthOf(prng: Prng, kind: TrialFaultKind): number {
  if (kind === 'kill') return prng.between(0.1, 1)
  // Most pauses are longer than any lease.
  if (kind === 'stop' || kind === 'block') return prng.between(0.5, 3.5)
  return prng.between(0.2, 1.6)
}
