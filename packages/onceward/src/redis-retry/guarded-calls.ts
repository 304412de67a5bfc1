import type { Clock, Random, Timers } from '../core/clock.ts'
import type { OncewardError } from '../core/errors.ts'
import { jittered } from '../core/jittered.ts'
import { pause } from '../core/pause.ts'
import { failure } from '../drivers/redis/index.ts'
import type { OpenLink } from '../drivers/redis/open-link.ts'
import type { RedisArgument } from '../drivers/redis/redis-link.ts'
import type { Attempt, Attempts } from './attempts.ts'
import { brokeOff, passes, scriptFailure } from './command-errors.ts'
import { ambiguous, answerOf, type Verdict } from './guard-answers.ts'
import type { GuardAnswer, GuardBatches, GuardItem } from './guard-batches.ts'
import { type AttemptTerms, operationHead } from './guard-lua.ts'
import type { RetryEvents } from './retry-events.ts'
import type { CheckedRetryOptions } from './retry-options.ts'
import type { ServerFacts } from './server-facts.ts'

/** What is executed once. */
export interface GuardedOperation {
  /** For events and messages. */
  readonly name: string
  readonly commands: readonly GuardedCommand[]
  /** Whether the reply is a list with one reply for each command. */
  readonly atomic: boolean
  /** Where it is remembered. */
  readonly marker: string
  /** The marker, then all keys of the commands. */
  readonly keys: readonly RedisArgument[]
  /** In a cluster: the slot of all of them. */
  readonly slot: number
  /** About how much is sent for it, in bytes. */
  readonly bytes: number
  /** Of the words; always the same where nobody else knows the name of the operation. */
  readonly digest: string
  /** Whether the caller named the operation, so that earlier calls may have sent it. */
  readonly named: boolean
}

/** A command as the script takes it. */
export interface GuardedCommand {
  readonly words: readonly RedisArgument[]
  /** How a large integer is read exactly: `i` by `GET`, `h` by `HGET`. */
  readonly exactly: '' | 'i' | 'h'
}

/** What the guarded calls of one wrapper share. */
export interface GuardContext {
  readonly open: OpenLink
  readonly attempts: Attempts
  readonly facts: ServerFacts
  readonly batches: GuardBatches
  readonly options: CheckedRetryOptions
  readonly events: RetryEvents
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
}

/** The first pause before another attempt, in ms; it doubles up to the longest. */
const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 500

/** How the script begins to say that a reply was too large to be kept. */
const NOT_KEPT = 'n'.charCodeAt(0)

/** What was executed answered. */
export interface GuardedReply {
  /** The encoded reply, from byte 1 on. */
  readonly encoded: Buffer
  /** Why it may not survive a failover, where replicas were to acknowledge it and did not. */
  readonly unacknowledged?: unknown
}

/**
 * Executes an operation at most once, and answers its reply.
 *
 * ```
 *   begun           attempts, each with the same marker and deadline       deadline      + 2 attempts
 *     ├── sent ✕ lost ── sent ✕ lost ── sent ─▶ reply (first or replayed)    │                │
 *     └── sent ✕ lost ── … nothing comes back ──────────────────────────────▶│ settle: ask    │ ambiguous
 *                                                     the marker, or leave a tombstone there  │
 * ```
 *
 * @param begun - When the caller asked for it, on our monotonic clock in ms.
 */
export async function guardedCall(
  context: GuardContext,
  operation: GuardedOperation,
  begun: number,
): Promise<GuardedReply> {
  const { options, clock, timers, random, events, facts, open } = context
  const until = begun + options.deadlineMs
  const attemptMs = options.attemptTimeoutMs + (options.wait?.timeoutMs ?? 0)
  const giveUp = until + 2 * attemptMs
  const retentionMs = operation.named ? options.retentionMs : options.unnamedRetentionMs
  let deadline = 0
  let proofUntil = 0
  let sentBefore = false
  let settling = false
  let last: unknown
  let unacknowledged: Buffer | undefined

  for (let attempt = 1; ; attempt++) {
    const now = clock.monotonic()
    if (!settling && now >= until) {
      if (unacknowledged !== undefined) break
      if (!sentBefore) throw last ?? tooLate(context)
      settling = true
    }
    if (settling && now >= giveUp) break
    const leftMs = Math.max(1, Math.min(attemptMs, (settling ? giveUp : until) - now))
    if (attempt > 1) events.retry(operation.name, attempt, last)

    const ready = await facts.within(leftMs)
    if (ready.kind === 'failed') {
      last = ready.error
      const closed = open.link.closedReason() !== undefined
      if (!ready.retryable || closed) {
        if (!sentBefore) throw last
        settling = true
        if (closed) break
      }
      await backOff(attempt)
      continue
    }
    if (deadline === 0) aim()
    // A replay writes nothing, so WAIT would speak of something else.
    const touch = options.wait !== undefined && (attempt > 1 || operation.named)
    const submitted = context.batches.submit(
      itemOf(operation, settling, { touch, deadline, proofUntil, retentionMs }),
    )
    const ended = await (settling ? cutOff(submitted, leftMs) : submitted)
    if (ended.kind === 'failed') {
      last = ended.error
      facts.clock.doubt()
      if (ended.sent && !settling) sentBefore = true
      if (ended.closed === true) {
        if (!sentBefore) throw last
        break
      }
    } else if (ended.kind === 'refused') {
      last = scriptFailure(open, ended.text, ended.error)
      // What is executed with it in one call may have been done before.
      if (brokeOff(ended.text)) sentBefore ||= !settling
      else if (!passes(ended.text, open.link.topology)) {
        if (!sentBefore) throw last
        settling = true
      }
    } else {
      const { answer, acknowledged, sentAt } = ended.reply
      // What replicas did not acknowledge may be too large to be kept; here it is still known.
      const verdict: Verdict =
        unacknowledged !== undefined && answer[0] === NOT_KEPT
          ? { kind: 'done', reply: unacknowledged, replayed: true }
          : answerOf(context, operation, answer, sentBefore)
      if (verdict.kind === 'done') {
        // Asked again only because of the replicas, it was no duplicate.
        if (verdict.replayed && unacknowledged === undefined) events.replay(operation.name, attempt)
        if (options.wait === undefined || acknowledged >= options.wait.replicas)
          return { encoded: verdict.reply }
        unacknowledged = verdict.reply
        sentBefore = true
        last = unacknowledgedError(context, acknowledged)
        if (settling) break
      } else if (verdict.kind === 'late') {
        facts.clock.learn(verdict.serverMs, sentAt)
        const before = deadline
        aim()
        // Our idea of the server's clock was wrong: nothing has been executed, so there may be another deadline.
        if (settling || deadline <= before || clock.monotonic() >= until) throw tooLate(context)
        sentBefore = false
      } else if (verdict.kind === 'refused') {
        last = scriptFailure(open, verdict.text)
        if (!passes(verdict.text, open.link.topology)) {
          if (!sentBefore) throw last
          settling = true
        }
      } else throw verdict.error
    }
    await backOff(attempt)
  }
  if (unacknowledged !== undefined) return { encoded: unacknowledged, unacknowledged: last }
  throw ambiguous(context, operation, last)

  function aim(): void {
    const ahead = facts.clock.known()
    deadline = Math.max(deadline, Math.ceil(begun + (ahead?.mostMs ?? 0) + options.deadlineMs))
    proofUntil = Math.floor(begun + (ahead?.leastMs ?? 0) + retentionMs) - 1
  }

  /** The last attempts may take what is left of the time, and no more. */
  function cutOff(submitted: Promise<Attempt<GuardAnswer>>, ms: number): Promise<Attempt<GuardAnswer>> {
    return new Promise((resolve) => {
      const cancel = timers.after(ms, () => resolve({ kind: 'failed', error: tooLate(context), sent: true }))
      void submitted.then((ended) => {
        cancel()
        resolve(ended)
      })
    })
  }

  function backOff(attempt: number): Promise<void> {
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempt - 1, 10))
    const left = (settling ? giveUp : until) - clock.monotonic()
    return left <= 0 ? Promise.resolve() : pause({ timers }, Math.min(jittered(random, longest), left))
  }
}

/** An attempt at an operation. To settle it, its commands are not needed. */
function itemOf(operation: GuardedOperation, settling: boolean, terms: AttemptTerms): GuardItem {
  const { marker, keys, digest, commands, slot, bytes, atomic } = operation
  if (settling) {
    return { marker, keys: [marker], args: [operationHead('s', '', 1, 0, digest, terms)], bytes: 200, slot }
  }
  const [first] = commands
  if (!atomic && first !== undefined) {
    const head = operationHead('c', first.exactly, keys.length, first.words.length, digest, terms)
    return { marker, keys, args: [head, ...first.words], bytes, slot }
  }
  const args: RedisArgument[] = [operationHead('a', '', keys.length, commands.length, digest, terms)]
  for (const { words, exactly } of commands) {
    args.push(`${exactly || '-'}${words.length}`)
    for (const word of words) args.push(word)
  }
  return { marker, keys, args, bytes, slot }
}

function tooLate({ open, options }: GuardContext): OncewardError {
  return failure(
    'STORE_UNAVAILABLE',
    `${open.link.where} did not execute the command within its ${options.deadlineMs} ms, and never will; send it again if it is still wanted`,
  )
}

function unacknowledgedError({ open, options }: GuardContext, acknowledged: number): OncewardError {
  return failure(
    'STORE_UNAVAILABLE',
    `${acknowledged} of ${options.wait?.replicas} replicas of ${open.link.where} acknowledged the command in time; bring them back`,
  )
}
