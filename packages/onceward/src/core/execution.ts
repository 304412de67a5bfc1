import { newFrame, runInFrame } from './context.ts'
import { namedNote } from './error-note.ts'
import { isOncewardError, OncewardError } from './errors.ts'
import type { Reading } from './lease-clock.ts'
import { LeaseKeeper } from './lease-keeper.ts'
import type { OnError, Operation } from './once-types.ts'
import type { Claim, Effect, Outcome, StepRecord } from './operation.ts'
import { OperationHandle } from './operation-handle.ts'
import { failureOf, failureOutcome, operationFailed, storedFailure, valueOutcome } from './outcomes.ts'
import { type Persisted, persist } from './persist.ts'
import { type Engine, onErrorOf, type Policy } from './settings.ts'
import { type ClaimedRun, StepRunner } from './step-runner.ts'
import { type Verdict, verdictOn } from './verdict.ts'

/** A claim that was granted, and all that is needed to work under it. */
export interface Grant {
  readonly claim: Claim
  readonly takenOver: boolean
  readonly steps: readonly StepRecord[]
  readonly sentAt: Reading
}

/** How the work of a claim ended, for its own caller and for those who waited for it. */
export interface Ended<T> {
  /** What is stored, where something is: duplicates in this process get it without asking the store. */
  readonly stored?: Outcome
  /** What the caller that ran the work gets. */
  readonly result: { readonly value: T } | { readonly error: unknown }
}

/** Runs the work under a claim and stores how it ended. It never rejects; `onLost` is called when the claim may be lost. */
export async function execute<T>(
  engine: Engine,
  policy: Policy,
  grant: Grant,
  fn: (op: Operation) => T | Promise<T>,
  onLost: () => void,
): Promise<Ended<T>> {
  const { claim, takenOver } = grant
  const startedAt = engine.clock.monotonic()
  engine.emit(takenOver ? 'taken-over' : 'claimed', claim.id, about(claim))
  const keeper = new LeaseKeeper(engine, claim, policy.leaseMs, grant.sentAt, onLost)
  const run: ClaimedRun = { engine, policy, claim, keeper }
  const steps = new StepRunner(run, grant.steps)
  const op = new OperationHandle(claim, takenOver, () => keeper.signal, steps.step)
  const frame = newFrame(claim.id.digest, engine.store)
  let thrown: { readonly error: unknown; readonly verdict: Verdict | undefined } | undefined
  let value: T | undefined
  try {
    value = await runInFrame(frame, () => fn(op))
  } catch (error) {
    thrown = { error, verdict: verdictOn(error, frame) }
  }
  frame.ended = true
  steps.end()
  const ending: Ending = { durationMs: engine.clock.monotonic() - startedAt, ...run }
  try {
    if (thrown === undefined) return await storeValue(ending, value as T)
    const onError = steps.hasOpenHold() ? 'hold' : onErrorOf(policy)
    // Nobody can say that nothing happened while a part that must not be repeated goes on.
    const verdict =
      thrown.verdict?.kind === 'no-effect' && steps.isHoldUnderWay() ? undefined : thrown.verdict
    return await storeThrow(ending, thrown.error, verdict, onError)
  } finally {
    keeper.stop()
  }
}

interface Ending extends ClaimedRun {
  readonly durationMs: number
}

async function storeValue<T>(ending: Ending, value: T): Promise<Ended<T>> {
  const { engine, policy, claim } = ending
  const outcome = valueOutcome({ id: claim.id, policy }, value)
  const stored = await complete(ending, outcome)
  if (stored === 'refused') return { result: { error: claimLost() } }
  if (stored === 'unreachable')
    return { result: { error: new OncewardError('OUTCOME_NOT_STORED', undefined, { value }) } }
  const { durationMs } = ending
  engine.emit('executed', claim.id, { durationMs, ...about(claim) })
  if (outcome.kind === 'unreplayable') {
    engine.emit('not-replayable', claim.id, { ...about(claim), message: outcome.reason })
  }
  return { stored: outcome, result: { value } }
}

async function storeThrow<T>(
  ending: Ending,
  error: unknown,
  verdict: Verdict | undefined,
  onError: OnError,
): Promise<Ended<T>> {
  if (verdict?.kind === 'no-effect') return release(ending, error, 'none')
  if (verdict?.kind === 'final') return fail(ending, error, verdict.effect)
  switch (onError) {
    case 'release':
      return release(ending, error, 'unknown')
    case 'store':
      return fail(ending, error, 'unknown')
    case 'hold':
      return hold(ending, error)
  }
}

async function release<T>(ending: Ending, error: unknown, effect: 'none' | 'unknown'): Promise<Ended<T>> {
  const { engine, claim } = ending
  const failure = storedFailure({ id: claim.id, policy: ending.policy }, error, effect)
  const stored = await settle(ending, () => engine.store.release(claim, failure))
  if (stored === 'refused' && effect === 'unknown') return { result: { error: claimLost(error) } }
  if (stored === 'applied') engine.emit('released', claim.id, { ...about(claim), error })
  return { result: { error: effect === 'unknown' ? ofThisOperation(error) : error } }
}

/** What an error of a nested operation says of its own effect says nothing of the operation that let it through. */
function ofThisOperation(error: unknown): unknown {
  if (!isOncewardError(error) || error.effect === 'unknown') return error
  const { code, message, retryAfterMs } = error
  return new OncewardError(
    code,
    `what the work called failed, and the work may have had effects: ${message}`,
    {
      cause: error,
      effect: 'unknown',
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  )
}

async function fail<T>(ending: Ending, error: unknown, effect: Effect): Promise<Ended<T>> {
  const outcome = failureOutcome({ id: ending.claim.id, policy: ending.policy }, error, effect)
  const stored = await complete(ending, outcome)
  if (stored === 'refused') return { result: { error: claimLost(error) } }
  if (stored === 'unreachable') {
    return { result: { error: new OncewardError('OUTCOME_NOT_STORED', undefined, { cause: error, effect }) } }
  }
  ending.engine.emit('failed', ending.claim.id, {
    ...about(ending.claim),
    durationMs: ending.durationMs,
    error,
  })
  const failed = operationFailed(failureOf(error, effect), error)
  return { stored: outcome, result: { error: failed } }
}

async function hold<T>(ending: Ending, error: unknown): Promise<Ended<T>> {
  const { engine, claim } = ending
  const { name, message } = failureOf(error, 'unknown')
  const kept = storedFailure({ id: claim.id, policy: ending.policy }, error, 'unknown')
  const reason = `the work threw ${namedNote(kept)}`
  const stored = await settle(ending, () => engine.store.hold(claim, reason))
  if (stored === 'refused') return { result: { error: claimLost(error) } }
  if (stored === 'applied') engine.emit('held', claim.id, { ...about(claim), error })
  const told = `the work threw and its effect may have happened, so the operation is held: ${message || name}`
  return { result: { error: new OncewardError('OUTCOME_UNKNOWN', told, { cause: error }) } }
}

function complete(ending: Ending, outcome: Outcome): Promise<Persisted> {
  const { engine, policy, claim } = ending
  return settle(ending, () => engine.store.complete(claim, outcome, policy.retentionMs))
}

function settle(ending: Ending, transition: () => Promise<boolean>): Promise<Persisted> {
  return persist(ending.engine, ending.policy.leaseMs, ending.claim.id, transition)
}

function about(claim: Claim): { readonly attempt: number; readonly fence: number } {
  return { attempt: claim.attempt, fence: claim.fence }
}

function claimLost(cause?: unknown): OncewardError {
  return new OncewardError('CLAIM_LOST', undefined, cause === undefined ? {} : { cause })
}
