import type { FaultKind } from './fault-kinds.ts'
import type { CataloguedStore, Library } from './library.ts'
import type { Mode } from './plan.ts'
import type { PlannedFault } from './plan-faults.ts'
import type { StoreAddress } from './store-kinds.ts'

/** A store that trials run on, with its servers, as the driver holds it. */
export interface Backend {
  /** As the command line names it. */
  readonly name: string
  readonly modes: readonly Mode[]
  /** The packages that its workers use. */
  readonly drivers: readonly string[]
  /** What can go wrong here. */
  readonly faults: readonly FaultKind[]
  /** It is known to lose acknowledged writes under its faults: what depends on them is counted, not promised. */
  readonly lossy?: boolean
  /** The store's power is that of the workers' machine: they die with it. */
  readonly isOnWorkersMachine?: boolean
  /** What a worker reaches through a proxy of its trial; empty for a store without a network. */
  readonly targets: readonly Target[]
  /** What a worker is told; `ports` are those of the proxies, one for each target. */
  address(ports: readonly number[], shape: AddressShape): StoreAddress
  /** Brings the tables up, and the accounts of the trials that come. */
  prepare(accounts: readonly string[]): Promise<void>
  /** Lets a fault of the whole store begin; resolves when it has begun. */
  strike(fault: PlannedFault): Promise<void>
  /** Ends it; resolves when the store answers again. */
  heal(): Promise<void>
  /** The store seen directly, for the last look at its records. */
  readonly store: CataloguedStore
  /** The business rows of these scopes. */
  rows(scopes: readonly string[]): Promise<readonly BusinessRow[]>
  /** What is on these accounts together. */
  sum(accounts: readonly string[]): Promise<number>
  /**
   * Begins with an empty store: what earlier trials left behind would slow down later ones. Another library may bring
   * the tables up, for statements that live in the database; the records are read by the driver's own in any case.
   */
  renew(migrateBy?: Library): Promise<void>
  /** Stops what was started. */
  stop(): Promise<void>
}

/** What of a plan an address depends on. */
export interface AddressShape {
  readonly seed: number
  readonly timeoutMs: number
}

/** For the driver's own look at a store. */
export const PATIENT: AddressShape = { seed: 0, timeoutMs: 10_000 }

/** Something that listens. */
export interface Target {
  readonly host: string
  readonly port: number
}

/** A row that a transaction has written. */
export interface BusinessRow {
  readonly scope: string
  readonly key: string
  readonly call: string
  readonly fence: number
  readonly nonce: string
}

/** What goes wrong in worker processes, with every store. */
export const PROCESS_FAULTS: readonly FaultKind[] = [
  'crash-point',
  'pause-point',
  'kill',
  'stop',
  'call-dropped',
  'reply-lost',
  'call-delayed',
  'call-hangs',
]

/** What goes wrong on the connection to a server. */
export const NETWORK_FAULTS: readonly FaultKind[] = [
  'net-drop-requests',
  'net-drop-replies',
  'net-cut-on-reply',
  'net-delay',
  'net-slice',
  'net-reset',
  'net-half-open',
  'net-partition',
]

/** The ways to be safe that need nothing but an operation store. */
export const STORE_MODES: readonly Mode[] = ['hold', 'reconciled', 'rerun', 'downstream', 'steps']
