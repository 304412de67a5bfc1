/** Everything that can be made to happen. Named as the command line and the tables name it. */
export const FAULT_KINDS = [
  // To a worker process.
  'crash-point',
  'pause-point',
  'kill',
  'stop',
  'block',
  // Between a worker and its store, in the process.
  'call-dropped',
  'reply-lost',
  'call-delayed',
  'call-hangs',
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
  // To the store.
  'store-kill',
  'store-stop',
  'store-busy',
  'disk-full',
  'script-flush',
  'sessions-ended',
  'cache-flush',
  'cache-kill',
  'cache-stop',
  // To the store, losing what it has acknowledged: only where that is documented.
  'failover',
  'power-cut',
  // To the server, which forgets what it knew, or misjudges the time.
  'flush-all',
  'clock-jump',
] as const

/** One of them. */
export type FaultKind = (typeof FAULT_KINDS)[number]

/** What a worker does to itself, or to its own calls, where its plan says so. */
export const INSIDE_FAULTS: readonly FaultKind[] = [
  'crash-point',
  'pause-point',
  'call-dropped',
  'reply-lost',
  'call-delayed',
  'call-hangs',
]

/** What goes wrong on the connection to any server; `net-cut-commit` only where there is a COMMIT. */
export const NETWORK_FAULTS: readonly FaultKind[] = FAULT_KINDS.filter(
  (kind) => kind.startsWith('net-') && kind !== 'net-cut-commit',
)

/** What loses acknowledged writes: it is complete when the strike has returned. */
export const LOSSES: readonly FaultKind[] = ['failover', 'power-cut']

/** What makes a server forget or misjudge the time: known limits, so it happens only where it is asked for. */
export const FORGETTING: readonly FaultKind[] = ['flush-all', 'clock-jump']

/** To a process from outside, or to what it alone stands on. */
const WORKER_FAULTS: readonly FaultKind[] = ['kill', 'stop', 'block', 'disk-full']

/** Which part of a trial a fault befalls. */
export function befalls(kind: FaultKind): 'inside' | 'worker' | 'connection' | 'server' {
  if (INSIDE_FAULTS.includes(kind)) return 'inside'
  if (WORKER_FAULTS.includes(kind)) return 'worker'
  return kind.startsWith('net-') ? 'connection' : 'server'
}
