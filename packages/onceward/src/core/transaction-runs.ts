import type { Frame } from './context.ts'
import { OncewardError } from './errors.ts'
import type { TransactionOperation } from './once-types.ts'
import type { Claim } from './operation.ts'
import { TransactionHandle } from './operation-handle.ts'
import type { ClaimReply } from './store.ts'

/** What the work threw, told apart from what the store threw. */
export interface Thrown {
  readonly error: unknown
  readonly frame: Frame
}

/** One run of the work of a transaction. */
export interface TransactionRun {
  thrown?: Thrown
  /** Present where the work was not begun, and nothing was written for it: what stood in its way. */
  found?: Exclude<ClaimReply, { state: 'claimed' }>
  /** Makes the handle that the work is given. */
  operation(claim: Claim, takenOver: boolean): TransactionOperation
  /** The run is rolled back: what it has left behind may stop. */
  giveUp(): void
}

/** The runs of one transaction: after a deadlock the store rolls it back and runs it again, whole. */
export interface TransactionRuns {
  /** Starts the next run; nothing of the one before counts any more. */
  begin(): TransactionRun
  /** The run that was begun last. */
  latest(): TransactionRun | undefined
}

/** Counts how often the work is begun, which it learns by `op.attempt`. */
export function transactionRuns(): TransactionRuns {
  let latest: TransactionRun | undefined
  let begun = 0
  return {
    latest: () => latest,
    begin() {
      latest?.giveUp()
      latest = transactionRun(() => begun++)
      return latest
    },
  }
}

function transactionRun(earlierRuns: () => number): TransactionRun {
  let controller: AbortController | undefined
  let givenUp = false
  const abort = () => controller?.abort(new OncewardError('ABORTED', 'this run of the work is rolled back'))
  /** Most work never asks for it. */
  const signal = () => {
    if (controller === undefined) {
      controller = new AbortController()
      if (givenUp) abort()
    }
    return controller.signal
  }
  return {
    operation(claim, takenOver) {
      const attempt = claim.attempt + earlierRuns()
      return new TransactionHandle({ ...claim, attempt }, takenOver, signal)
    },
    giveUp() {
      givenUp = true
      abort()
    },
  }
}
