import { type Asked, type AskStore, refusal, type Shared } from './attempt.ts'
import { claim } from './claiming.ts'
import { newFrame, runInFrame } from './context.ts'
import { isOncewardError, OncewardError } from './errors.ts'
import { isPromise } from './is-promise.ts'
import type { JoinableStore, TransactionOperation } from './once-types.ts'
import type { Outcome } from './operation.ts'
import { failureOf, failureOutcome, operationFailed, replay, valueOutcome } from './outcomes.ts'
import { persist } from './persist.ts'
import { ask, known } from './room.ts'
import { onErrorOf } from './settings.ts'
import type { ClaimReply, ClaimRequest, OperationStore } from './store.ts'
import { type Thrown, type TransactionRun, transactionRuns } from './transaction-runs.ts'
import { verdictOn } from './verdict.ts'

/** The work of a transaction. */
export type TransactionWork<T, Tx> = (tx: Tx, op: TransactionOperation) => T | Promise<T>

/** How a transaction ended that was not rolled back. */
type Committed<T> =
  | { readonly state: 'executed'; readonly value: T; readonly outcome: Outcome }
  | Exclude<ClaimReply, { state: 'claimed' }>

/** Asks the store by running the whole transaction: record, business writes and outcome commit together. */
export function askWithTransaction<T, Tx>(
  shared: Shared,
  asked: Asked,
  store: JoinableStore<Tx>,
  fn: TransactionWork<T, Tx>,
): AskStore<T> {
  const { engine, cache } = shared
  const { id, fingerprint, policy } = asked
  return async (request, room) => {
    const runs = transactionRuns()
    const found = await ask(room, fingerprint, async () => {
      try {
        const committed = await store.transaction((tx) =>
          drive(store, work(store, tx, asked, request, fn, runs.begin())),
        )
        if (committed.state !== 'executed') return { reply: committed }
        cache.put(id.digest, known(engine, committed.outcome, fingerprint, policy.retentionMs))
        return { reply: 'claimed', value: committed.value }
      } catch (error) {
        const run = runs.latest()
        run?.giveUp()
        // Whatever became of the commit: there was nothing to commit, and what was read stays true.
        if (run?.found && isOncewardError(error) && error.effect === 'unknown') return { reply: run.found }
        const byWork = run?.thrown
        // What the work threw is for its own caller; what the store threw is for all who asked.
        if (byWork && Object.is(byWork.error, error)) return { reply: 'claimed', byWork }
        return { reply: runningElsewhere(error) }
      }
    })
    if (found.reply !== 'claimed') return found.reply
    if ('byWork' in found) {
      await rememberFailure(shared, asked, request, found.byWork)
      throw found.byWork.error
    }
    engine.emit('executed', id)
    return { state: 'executed', value: found.value, expiresInMs: policy.retentionMs }
  }
}

/** Runs the work inside the caller's transaction. Nothing is cached: the caller may still roll back. */
export function runWithin<T, Tx>(
  asked: Asked,
  store: JoinableStore<Tx>,
  tx: Tx,
  request: ClaimRequest,
  fn: (op: TransactionOperation) => T | Promise<T>,
): T | Promise<T> {
  const run = transactionRuns().begin()
  const undone = (error: unknown): never => {
    run.giveUp()
    throw error
  }
  try {
    const ended = store.savepoint(tx, () =>
      drive(
        store,
        work(store, tx, asked, request, (_tx, op) => fn(op), run),
      ),
    )
    return isPromise(ended) ? ended.then((end) => answerOf(asked, end), undone) : answerOf(asked, ended)
  } catch (error) {
    return undone(error)
  }
}

/** A store that has waited in vain for another transaction on this key says so; the caller may have more patience. */
function runningElsewhere(error: unknown): Extract<ClaimReply, { state: 'running' }> {
  if (!isOncewardError(error, 'IN_PROGRESS')) throw error
  return { state: 'running', attempt: 0, remainingMs: error.retryAfterMs ?? 1 }
}

function answerOf<T>(asked: Asked, ended: Committed<T>): T {
  switch (ended.state) {
    case 'executed':
      return ended.value
    case 'done':
      return replay(asked.id, ended.outcome, asked.policy.codec) as T
    case 'running':
      // Waiting here would hold the caller's locks against the very one that is waited for.
      throw refusal({ outcome: 'running', id: asked.id, retryAfterMs: Math.max(1, ended.remainingMs) })
    case 'held':
      throw refusal({ outcome: 'held', id: asked.id, reason: ended.reason })
    case 'reused':
      throw refusal({ outcome: 'reused', id: asked.id })
  }
}

/** The steps of a transaction, each yielded to a driver that is synchronous or not. */
function* work<T, Tx>(
  store: JoinableStore<Tx>,
  tx: Tx,
  asked: Asked,
  request: ClaimRequest,
  fn: TransactionWork<T, Tx>,
  run: TransactionRun,
): Generator<unknown, Committed<T>, unknown> {
  const reply = (yield store.claimIn(tx, request)) as ClaimReply
  if (reply.state !== 'claimed') {
    run.found = reply
    return reply
  }
  const op = run.operation(reply.claim, reply.takenOver)
  const { digest } = asked.id
  const frame = newFrame(digest, store)
  let value: T
  try {
    value = (yield runInFrame(frame, () => fn(tx, op))) as T
  } catch (error) {
    run.thrown = { error, frame }
    throw error
  } finally {
    frame.ended = true
  }
  const outcome = valueOutcome(asked, value)
  const completed = yield store.completeIn(tx, reply.claim, outcome, asked.policy.retentionMs)
  if (!completed) {
    throw new OncewardError('CLAIM_LOST', 'the claim was lost inside the transaction, which is rolled back', {
      effect: 'none',
    })
  }
  return { state: 'executed', value, outcome }
}

/** A final failure is remembered after the transaction it rolled back: a claim and an end, with nothing in between. */
async function rememberFailure(
  shared: Shared,
  asked: Asked,
  request: ClaimRequest,
  thrown: Thrown,
): Promise<void> {
  const { engine } = shared
  const { error, frame } = thrown
  const verdict = verdictOn(error, frame)
  const final = verdict?.kind === 'final' || (verdict === undefined && onErrorOf(asked.policy) === 'store')
  if (!final) return
  // Everything was rolled back, so a crash between this claim and its end leaves nothing unknown.
  const { reply } = await claim(engine, { ...request, owner: engine.random.nonce(), onCrash: 'rerun' })
  if (reply.state !== 'claimed') return
  // Whatever the work wrote here is rolled back; only what it says itself may have happened elsewhere.
  const effect = verdict?.kind === 'final' ? verdict.effect : 'none'
  const outcome = failureOutcome(asked, error, effect)
  const { leaseMs, retentionMs } = asked.policy
  const stored = await persist(engine, leaseMs, asked.id, () =>
    engine.store.complete(reply.claim, outcome, retentionMs),
  )
  if (stored === 'applied') throw operationFailed(failureOf(error, effect), error)
}

function drive<T>(store: OperationStore, steps: Generator<unknown, T, unknown>): T | Promise<T> {
  return store.capabilities.transactional === 'sync' ? driveSync(steps) : driveAsync(steps)
}

function driveSync<T>(steps: Generator<unknown, T, unknown>): T {
  let step = steps.next()
  while (!step.done) {
    const { value } = step
    if (isPromise(value)) {
      value.then(undefined, () => {})
      step = steps.throw(
        new TypeError(
          'the work of a transaction on this store must be synchronous: its driver would commit before a promise ' +
            'settles. Do the asynchronous part before or after, or use run()',
        ),
      )
    } else step = steps.next(value)
  }
  return step.value
}

async function driveAsync<T>(steps: Generator<unknown, T, unknown>): Promise<T> {
  let step = steps.next()
  while (!step.done) {
    let value: unknown
    try {
      value = await step.value
    } catch (error) {
      step = steps.throw(error)
      continue
    }
    step = steps.next(value)
  }
  return step.value
}
