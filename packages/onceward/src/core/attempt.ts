import { claim } from './claiming.ts'
import { OncewardError } from './errors.ts'
import { execute } from './execution.ts'
import { Later } from './later.ts'
import type { AttemptReply, Operation } from './once-types.ts'
import type { OperationId } from './operation.ts'
import type { KnownOutcome, OutcomeCache } from './outcome-cache.ts'
import { replay } from './outcomes.ts'
import { type AbortWatch, Patience, throwIfAborted } from './patience.ts'
import { type Held, reconcileHeld } from './reconciling.ts'
import { ask, known, type LocalRun, type Room, type Rooms, watch } from './room.ts'
import type { Engine, Policy } from './settings.ts'
import type { ClaimReply, ClaimRequest } from './store.ts'

/** One call, checked and with its identity fixed. */
export interface Asked {
  readonly id: OperationId
  readonly policy: Policy
  readonly fingerprint: string | undefined
  readonly input: unknown
  readonly signal: AbortSignal | undefined
}

/** What an instance keeps between calls. */
export interface Shared {
  readonly engine: Engine
  readonly rooms: Rooms
  readonly cache: OutcomeCache
  readonly aborts: AbortWatch
}

/** What asking the store led to: its answer, or the end of the work that this caller ran. */
export type Asking<T> =
  | { readonly state: 'executed'; readonly value: T; readonly expiresInMs: number }
  | Exclude<ClaimReply, { state: 'claimed' }>

/** How one kind of call (with a claim, in a transaction) asks the store, and works when it may. */
export type AskStore<T> = (request: ClaimRequest, room: Room) => Promise<Asking<T>>

/**
 * Takes one caller from its call to its answer.
 *
 * ```
 *  known here? ─▶ running here? ─▶ being asked here? ─▶ ask the store ─▶ executed | done | held | reused
 *      ▲               │ wait            │ share                            │ running elsewhere: wait
 *      └───────────────┴─────────────────┴──────────────────────────────────┘
 * ```
 *
 * All callers of one key in this process share one question, one wait and one run.
 */
export async function attempt<T>(
  shared: Shared,
  asked: Asked,
  askStore: AskStore<T>,
): Promise<AttemptReply<T>> {
  const { engine, rooms, cache } = shared
  const { id, policy, fingerprint } = asked
  const room = rooms.enter(id.digest)
  const patience = new Patience(engine, shared.aborts, asked)
  let again = false
  try {
    for (;;) {
      throwIfAborted(asked.signal)
      const cached = cache.get(id.digest, fingerprint)
      if (cached) return replayed(engine, asked, cached)

      if (room.running) {
        if (isOther(room.running.fingerprint, fingerprint)) return reused(engine, id)
        const ended = await joinLocalRun(engine, asked, room.running, patience)
        if (ended === 'still running') return running(engine, id, policy.leaseMs)
        if (ended) return replayed(engine, asked, ended)
        continue
      }

      let answer: Asking<T>
      if (room.asking) {
        const { answered, fingerprint: askedFor } = room.asking
        const found = await patience.until(answered.wait())
        if (!found) return running(engine, id, policy.leaseMs)
        // A store that cannot be reached is not asked again by every caller in turn.
        if ('error' in found.came) throw found.came.error
        if (askedFor !== fingerprint || found.came.reply === 'claimed') continue
        answer = found.came.reply
      } else {
        answer = await askStore(requestOf(engine, asked, again), room)
        again = true
      }

      switch (answer.state) {
        case 'executed':
          return { outcome: 'executed', value: answer.value, id, expiresInMs: answer.expiresInMs }
        case 'reused':
          return reused(engine, id)
        case 'done': {
          const outcome = known(engine, answer.outcome, fingerprint, answer.remainingMs)
          cache.put(id.digest, outcome)
          return replayed(engine, asked, outcome)
        }
        case 'held': {
          if (await settledByAsking(engine, asked, room, answer, patience)) continue
          engine.emit('rejected', id, { attempt: answer.attempt, fence: answer.fence, message: 'held' })
          return { outcome: 'held', id, reason: answer.reason }
        }
        case 'running': {
          if (policy.whenRunning === 'reject') return running(engine, id, answer.remainingMs)
          engine.emit('waiting', id, { attempt: answer.attempt })
          if (await patience.until(watch(engine, room, id, answer.remainingMs))) continue
          return running(engine, id, answer.remainingMs)
        }
      }
    }
  } finally {
    patience.end()
    rooms.leave(id.digest)
  }
}

/** Asks the store for a claim and, when it is granted, runs the work under it. */
export function askWithClaim<T>(
  shared: Shared,
  asked: Asked,
  fn: (op: Operation) => T | Promise<T>,
): AskStore<T> {
  const { engine, cache } = shared
  const { id, policy, fingerprint } = asked
  const { retentionMs } = policy
  return async (request, room) => {
    const found = await ask(room, fingerprint, async () => {
      const { reply, sentAt } = await claim(engine, request)
      if (reply.state !== 'claimed') return { reply }
      const run: LocalRun = { fingerprint, ended: new Later() }
      room.running = run
      return { reply: 'claimed', run, grant: { sentAt, ...reply } }
    })
    if (found.reply !== 'claimed') return found.reply
    const { run, grant } = found
    const leave = (outcome?: KnownOutcome) => {
      if (room.running === run) room.running = undefined
      run.ended.settle(outcome)
    }
    // Once the claim may be lost, the store knows more than this process does.
    const { stored, result } = await execute(engine, policy, grant, fn, leave)
    const outcome = stored && known(engine, stored, fingerprint, retentionMs)
    if (outcome) cache.put(id.digest, outcome)
    leave(outcome)
    if ('error' in result) throw result.error
    return { state: 'executed', value: result.value, expiresInMs: retentionMs }
  }
}

async function joinLocalRun(
  engine: Engine,
  asked: Asked,
  { ended }: LocalRun,
  patience: Patience,
): Promise<KnownOutcome | undefined | 'still running'> {
  if (asked.policy.whenRunning === 'reject') return 'still running'
  engine.emit('coalesced', asked.id)
  const found = await patience.until(ended.wait())
  return found ? found.came : 'still running'
}

async function settledByAsking(
  engine: Engine,
  asked: Asked,
  room: Room,
  held: Held,
  patience: Patience,
): Promise<boolean> {
  if (asked.policy.reconcile === undefined || held.mayAskInMs > 0) return false
  room.reconciling ??= reconcileHeld(engine, asked.policy, asked.id, held, asked.input).finally(() => {
    room.reconciling = undefined
  })
  const found = await patience.until(room.reconciling)
  return found?.came ?? false
}

/** The request for one question to the store; each question has a nonce of its own. */
export function requestOf(engine: Engine, asked: Asked, again: boolean): ClaimRequest {
  const { id, policy, fingerprint } = asked
  return {
    id,
    owner: engine.random.nonce(),
    leaseMs: policy.leaseMs,
    retentionMs: policy.retentionMs,
    onCrash: policy.onCrash,
    ...(fingerprint === undefined ? {} : { fingerprint }),
    ...(again ? { again } : {}),
  }
}

function replayed<T>(engine: Engine, asked: Asked, outcome: KnownOutcome): AttemptReply<T> {
  const { id, policy } = asked
  engine.emit('replayed', id)
  const value = replay(id, outcome.outcome, policy.codec) as T
  return {
    outcome: 'replayed',
    value,
    id,
    expiresInMs: Math.max(0, outcome.expiresAt - engine.clock.monotonic()),
  }
}

function reused<T>(engine: Engine, id: OperationId): AttemptReply<T> {
  engine.emit('reused', id)
  return { outcome: 'reused', id }
}

/** The longest time a caller is told to stay away from a running operation, in ms: it may end long before its lease. */
const MAX_RETRY_AFTER_MS = 1000

function running<T>(engine: Engine, id: OperationId, remainingMs: number): AttemptReply<T> {
  engine.emit('rejected', id, { message: 'running' })
  return { outcome: 'running', id, retryAfterMs: Math.max(1, Math.min(MAX_RETRY_AFTER_MS, remainingMs)) }
}

function isOther(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b
}

/** What `run` throws where `attempt` answers. */
export function refusal(reply: Exclude<AttemptReply<unknown>, { value: unknown }>): OncewardError {
  switch (reply.outcome) {
    case 'running':
      return new OncewardError('IN_PROGRESS', undefined, { retryAfterMs: reply.retryAfterMs })
    case 'held':
      return new OncewardError(
        'OUTCOME_UNKNOWN',
        `the operation is held and waits to be reconciled: ${reply.reason}`,
      )
    case 'reused':
      return new OncewardError('KEY_REUSED')
  }
}
