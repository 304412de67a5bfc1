/** Everything that can be made to happen. Named as the command line and the tables name it. */
export const FAULT_KINDS = [
  // To a worker process.
  'crash-point',
  'pause-point',
  'kill',
  'stop',
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
] as const

/** One of them. */
export type FaultKind = (typeof FAULT_KINDS)[number]
