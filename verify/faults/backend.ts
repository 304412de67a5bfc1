import { befalls, FAULT_KINDS, type FaultKind } from './harness/fault-kinds.ts'
import type { AddressShape, TrialStage } from './harness/trial-kind.ts'
import type { CataloguedStore, Library } from './library.ts'
import type { Mode } from './plan.ts'
import type { StoreAddress } from './store-kinds.ts'

/** A store that trials run on, with its servers, as the driver holds it. */
export interface Backend extends TrialStage {
  readonly modes: readonly Mode[]
  /** The packages that its workers use. */
  readonly drivers: readonly string[]
  /** It is known to lose acknowledged writes under its faults: what depends on them is counted, not promised. */
  readonly lossy?: boolean
  address(ports: readonly number[], shape: AddressShape): StoreAddress
  /** Brings the tables up, and the accounts of the trials that come. */
  prepare(accounts: readonly string[]): Promise<void>
  /** The store seen directly, for the last look at its records. */
  readonly store: CataloguedStore
  /** The business rows of these scopes. */
  rows(scopes: readonly string[]): Promise<readonly BusinessRow[]>
  /** What is on these accounts together. */
  sum(accounts: readonly string[]): Promise<number>
  /**
   * Begins with an empty store. Another library may bring the tables up, for statements that live in the database; the
   * records are read by the driver's own in any case.
   */
  renew(migrateBy?: Library): Promise<void>
}

/** A row that a transaction has written. */
export interface BusinessRow {
  readonly scope: string
  readonly key: string
  readonly call: string
  readonly fence: number
  readonly nonce: string
}

/** All that a store of operations is tried with. */
export const STORE_FAULTS: readonly FaultKind[] = FAULT_KINDS.filter(
  (kind) => !['block', 'flush-all', 'clock-jump'].includes(kind),
)

/** What goes wrong in worker processes, with every store. */
export const PROCESS_FAULTS: readonly FaultKind[] = STORE_FAULTS.filter(
  (kind) => befalls(kind) === 'inside' || kind === 'kill' || kind === 'stop',
)

/** The ways to be safe that need nothing but an operation store. */
export const STORE_MODES: readonly Mode[] = ['hold', 'reconciled', 'rerun', 'downstream', 'steps']
