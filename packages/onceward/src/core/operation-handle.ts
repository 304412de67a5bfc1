import { downstreamKey } from './downstream-key.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import type { Operation, TransactionOperation } from './once-types.ts'
import type { Claim, StepRecord } from './operation.ts'
import type { Engine, Policy } from './settings.ts'
import { type StepRunner, stepRunner } from './step-runner.ts'

/** The handle that the work is given, and what the engine needs to know of its steps. */
export interface OperationHandle extends Omit<StepRunner, 'step'> {
  readonly op: Operation
}

/** Makes the handle of one claim. `steps` are those an earlier attempt has left. */
export function operationHandle(
  engine: Engine,
  policy: Policy,
  claim: Claim,
  keeper: LeaseKeeper,
  takenOver: boolean,
  steps: readonly StepRecord[],
): OperationHandle {
  const { step, hasOpenHold, isHoldUnderWay, end } = stepRunner(engine, policy, claim, keeper, steps)
  const op: Operation = {
    ...transactionOperation(claim, takenOver),
    get signal() {
      return keeper.signal
    },
    step,
  }
  return { op, hasOpenHold, isHoldUnderWay, end }
}

/** What the work of a transaction is told of its claim, and any other work too. */
export function transactionOperation(claim: Claim, takenOver: boolean): Omit<TransactionOperation, 'signal'> {
  const { id, fence, attempt } = claim
  return {
    id,
    scope: id.scope,
    key: id.key,
    fence,
    attempt,
    takenOver,
    downstreamKey: (system) => downstreamKey(id, system),
  }
}
