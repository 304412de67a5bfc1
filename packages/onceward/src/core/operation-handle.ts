import { downstreamKey } from './downstream-key.ts'
import type { Operation, TransactionOperation } from './once-types.ts'
import type { Claim, OperationId } from './operation.ts'

/** Where a handle keeps what makes its signal when somebody first asks for it. */
const SIGNAL: unique symbol = Symbol('signal')

interface Signalled {
  [SIGNAL]?: () => AbortSignal
}

/**
 * Put on each handle, so that a copy of the handle has a signal too; asked by what is `this`, so that what wraps or inherits
 * from the handle has it too. One function for all handles: an accessor of its own would give each handle a shape of its own.
 */
const SIGNAL_ACCESSOR: PropertyDescriptor & ThisType<Signalled> = {
  get() {
    return this[SIGNAL]?.()
  },
  enumerable: true,
  configurable: true,
}

function carrySignal(handle: TransactionHandle & Signalled, signal: () => AbortSignal): void {
  handle[SIGNAL] = signal
  Object.defineProperty(handle, 'signal', SIGNAL_ACCESSOR)
}

/** The handle that the work of a transaction is given. What it has may be taken off it, and it may be copied or wrapped. */
export class TransactionHandle implements TransactionOperation {
  readonly id: OperationId
  readonly scope: string
  readonly key: string
  readonly fence: number
  readonly attempt: number
  readonly takenOver: boolean
  declare readonly signal: AbortSignal

  constructor({ id, fence, attempt }: Claim, takenOver: boolean, signal: () => AbortSignal) {
    this.id = id
    this.scope = id.scope
    this.key = id.key
    this.fence = fence
    this.attempt = attempt
    this.takenOver = takenOver
    carrySignal(this, signal)
  }

  readonly downstreamKey = (system: string): string => downstreamKey(this.id, system)
}

/** The handle that any other work is given. */
export class OperationHandle extends TransactionHandle implements Operation {
  readonly step: Operation['step']

  constructor(claim: Claim, takenOver: boolean, signal: () => AbortSignal, step: Operation['step']) {
    super(claim, takenOver, signal)
    this.step = step
  }
}
