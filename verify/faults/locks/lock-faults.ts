import type { Prng } from '../../simulation/prng.ts'

/** Everything that can be made to happen to locks. */
export const LOCK_FAULTS = [
  // To a worker process.
  'kill',
  'stop',
  'block',
  // On the connection.
  'net-drop-requests',
  'net-drop-replies',
  'net-cut-on-reply',
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
  // To the server, which forgets who holds what, or misjudges the time: the known limits of leases.
  'flush-all',
  'clock-jump',
] as const

/** One of them. */
export type LockFaultKind = (typeof LOCK_FAULTS)[number]

/** After these, two may hold a lock for a while: only the fence still tells them apart. */
export const FORGETTING: readonly LockFaultKind[] = ['flush-all', 'clock-jump']

/** What goes wrong in processes, with every backend. */
export const WORKER_FAULTS: readonly LockFaultKind[] = ['kill', 'stop', 'block']

/** What goes wrong on connections. */
export const CONNECTION_FAULTS: readonly LockFaultKind[] = [
  'net-drop-requests',
  'net-drop-replies',
  'net-cut-on-reply',
  'net-delay',
  'net-slice',
  'net-reset',
  'net-half-open',
  'net-partition',
]

/** Something that is done at a time. */
export interface LockFault {
  readonly kind: LockFaultKind
  readonly at: number
  readonly forMs: number
  readonly worker: number
  /** How many replies, how many bytes. */
  readonly amount: number
}

/** Which part of a trial a fault befalls. */
export function befalls(kind: LockFaultKind): 'worker' | 'connection' | 'server' {
  if (WORKER_FAULTS.includes(kind)) return 'worker'
  return kind.startsWith('net-') ? 'connection' : 'server'
}

/** Draws what goes wrong within a time; faults of the same part do not overlap. */
export function drawFaults(
  prng: Prng,
  kinds: readonly LockFaultKind[],
  {
    activeMs,
    ttlMs,
    workers,
  }: { readonly activeMs: number; readonly ttlMs: number; readonly workers: number },
  most: number,
): readonly LockFault[] {
  const [first, ...others] = kinds
  if (first === undefined) return []
  const faults: LockFault[] = []
  let at = ttlMs * prng.between(0.3, 1)
  while (faults.length < most && at < activeMs) {
    const kind = prng.pick([first, ...others])
    const forMs = lengthOf(prng, kind, ttlMs)
    faults.push({ kind, at, forMs, worker: prng.int(workers), amount: 1 + prng.int(5) })
    at += forMs + ttlMs * prng.between(0.2, 1.5)
  }
  return faults
}

function lengthOf(prng: Prng, kind: LockFaultKind, ttlMs: number): number {
  if (kind === 'kill') return ttlMs * prng.between(0.1, 1)
  // Half the pauses are longer than any lease.
  if (kind === 'stop' || kind === 'block') return ttlMs * prng.between(0.4, 3.5)
  return ttlMs * prng.between(0.2, 1.6)
}
