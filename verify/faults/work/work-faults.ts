import type { Prng } from '../../simulation/prng.ts'

/** Everything that can be made to happen from outside. */
export const WORK_FAULTS = [
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
] as const

/** One of them. */
export type WorkFaultKind = (typeof WORK_FAULTS)[number]

/** What goes wrong in processes, with every store. */
export const PROCESS_FAULTS: readonly WorkFaultKind[] = ['kill', 'stop', 'block']

/** What goes wrong on the connection to any server; `net-cut-commit` only where there is a COMMIT. */
export const NETWORK_FAULTS: readonly WorkFaultKind[] = WORK_FAULTS.filter(
  (kind) => kind.startsWith('net-') && kind !== 'net-cut-commit',
)

/** Something that is done at a time. */
export interface WorkFault {
  readonly kind: WorkFaultKind
  readonly at: number
  readonly forMs: number
  readonly worker: number
  /** How many replies, how many bytes. */
  readonly amount: number
}

/** Which part of a trial a fault befalls. */
export function befalls(kind: WorkFaultKind): 'worker' | 'connection' | 'server' {
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
  kinds: readonly WorkFaultKind[],
  { activeMs, leaseMs, workers }: FaultTime,
  most: number,
): readonly WorkFault[] {
  const [first, ...others] = kinds
  if (first === undefined) return []
  const faults: WorkFault[] = []
  let at = leaseMs * prng.between(0.3, 1)
  while (faults.length < most && at < activeMs) {
    const kind = prng.pick([first, ...others])
    const forMs = leaseMs * lengthOf(prng, kind)
    faults.push({ kind, at, forMs, worker: prng.int(workers), amount: 1 + prng.int(5) })
    at += forMs + leaseMs * prng.between(0.2, 1.5)
  }
  return faults
}

/** In leases. */
function lengthOf(prng: Prng, kind: WorkFaultKind): number {
  if (kind === 'kill') return prng.between(0.1, 1)
  // Most pauses are longer than any lease.
  if (kind === 'stop' || kind === 'block') return prng.between(0.6, 3.5)
  return prng.between(0.2, 1.6)
}
