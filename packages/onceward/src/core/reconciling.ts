import { answerWithin } from './answer-within.ts'
import { backOffMs } from './back-off.ts'
import { downstreamKey } from './downstream-key.ts'
import { callerScope } from './identity.ts'
import { jittered } from './jittered.ts'
import type { HeldOperation, Reconciliation } from './once-types.ts'
import type { OperationId } from './operation.ts'
import { failureOutcome, valueOutcome } from './outcomes.ts'
import type { Engine, Policy } from './settings.ts'
import type { ClaimReply, Resolution } from './store.ts'

/** A held operation as a claim found it. */
export type Held = Extract<ClaimReply, { state: 'held' }>

/** The quiet time after the first unanswered question, and the longest one, in ms. */
const BACK_OFF = { initialMs: 1000, maxMs: 300_000 }

/**
 * Asks `reconcile` what became of a held operation, if nobody else is asking, and decides it accordingly.
 * Answers whether it is settled now. It never rejects: whatever goes wrong, the operation stays held.
 */
export async function reconcileHeld(
  engine: Engine,
  policy: Policy,
  id: OperationId,
  held: Held,
  input: unknown,
): Promise<boolean> {
  const { reconcile, reconcileTimeoutMs } = policy
  if (reconcile === undefined || held.mayAskInMs > 0) return false
  const { fence, attempt, asks } = held
  // All callers of a room wait for this: a store that never answers must not keep them.
  const bounded = <T>(reply: Promise<T>): Promise<T> => answerWithin(engine, reply, engine.storeTimeoutMs)
  try {
    const turn = { fence, asks, quietMs: reconcileTimeoutMs + BACK_OFF.initialMs, holding: false }
    if (!(await bounded(engine.store.takeTurn(id, turn)))) return false
    const finding = await ask(engine, policy, id, held, input)
    const as = decision(finding, { id, policy })
    if (as === undefined) {
      engine.emit('reconcile-unknown', id, { attempt, fence })
      const quietMs = jittered(engine.random, backOffMs(BACK_OFF, asks), 0.25)
      await bounded(engine.store.takeTurn(id, { fence, asks: asks + 1, quietMs, holding: true }))
      return false
    }
    const decided = { fence, as, actor: 'reconcile', reason: `answered ${finding.outcome}` }
    const reply = await bounded(engine.store.resolve(id, decided))
    if (reply.state === 'resolved')
      engine.emit('reconciled', id, { attempt, fence, message: finding.outcome })
    // A conflict means that somebody else has decided: that settles it too.
    return true
  } catch (error) {
    engine.emit('reconcile-unknown', id, { attempt, fence, error })
    return false
  }
}

/** Whether a scope belongs to an instance: its own, or that of one of its callers. */
export function isOwnScope(scope: string, own: string): boolean {
  return scope === own || scope.startsWith(callerScope(own, ''))
}

async function ask(
  engine: Engine,
  policy: Policy,
  id: OperationId,
  held: Held,
  input: unknown,
): Promise<Reconciliation> {
  const controller = new AbortController()
  const operation: HeldOperation = {
    id,
    scope: id.scope,
    key: id.key,
    fence: held.fence,
    attempt: held.attempt,
    reason: held.reason,
    asks: held.asks,
    ...(input === undefined ? {} : { input }),
    signal: controller.signal,
    downstreamKey: (system) => downstreamKey(id, system),
  }
  const answer = async (): Promise<Reconciliation> => {
    const given: Promise<Reconciliation> | Reconciliation | undefined = policy.reconcile?.(operation)
    return (await given) ?? { outcome: 'unknown' }
  }
  try {
    return await answerWithin(engine, answer(), policy.reconcileTimeoutMs)
  } catch (error) {
    controller.abort(error)
    engine.emit('reconcile-unknown', id, { attempt: held.attempt, fence: held.fence, error })
    return { outcome: 'unknown' }
  }
}

function decision(
  finding: Reconciliation,
  stored: { readonly id: OperationId; readonly policy: Policy },
): Resolution['as'] | undefined {
  switch (finding.outcome) {
    case 'done':
      return { state: 'done', outcome: valueOutcome(stored, finding.value) }
    case 'failed':
      return { state: 'done', outcome: failureOutcome(stored, finding.error, 'none') }
    case 'not-happened':
      return { state: 'released' }
    default:
      return undefined
  }
}
