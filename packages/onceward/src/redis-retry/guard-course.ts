import type { OncewardError } from '../core/errors.ts'
import { failure } from '../drivers/redis/index.ts'
import type { Attempt } from './attempts.ts'
import { brokeOff, passes, scriptFailure } from './command-errors.ts'
import { ambiguous, answerOf, type Verdict } from './guard-answers.ts'
import type { GuardAnswer } from './guard-batches.ts'
import type { GuardContext, GuardedOperation } from './guard-context.ts'
import type { AttemptTerms } from './guard-lua.ts'
import type { FactsAnswer } from './server-facts.ts'

/** What was executed answered. */
export interface GuardedReply {
  /** The encoded reply, from byte 1 on. */
  readonly encoded: Buffer
  /** Why it may not survive a failover, where replicas were to acknowledge it and did not. */
  readonly unacknowledged?: unknown
}

/** What one guarded call has come to so far. Times without another word are on our monotonic clock, in ms. */
export interface GuardCourse {
  readonly context: GuardContext
  readonly operation: GuardedOperation
  readonly begun: number
  /** Until when the commands may be sent. */
  readonly until: number
  /** How long one attempt may take, in ms. */
  readonly attemptMs: number
  /** Until when an operation that was sent may be settled. */
  readonly giveUpAt: number
  readonly retentionMs: number
  /** The last moment of its execution, on the server's clock; 0 until that is known. */
  deadline: number
  /** Until when an absent marker proves that nothing was executed, on the same clock. */
  proofUntil: number
  /** Whether an attempt was sent that may have been executed. */
  sentBefore: boolean
  /** Whether it is only asked now what became of it: the commands are sent no more. */
  settling: boolean
  /** How the last attempt failed. */
  last: unknown
  /** The reply of what was executed, and not acknowledged by enough replicas; `why` says by how many. */
  unacknowledged: { readonly reply: Buffer; readonly why: OncewardError } | undefined
}

/**
 * What an attempt came to: a reply, or nothing, and then there is to be another. What ends the call otherwise is thrown.
 */
export type Outcome = GuardedReply | undefined

/** How the script begins to say that a reply was too large to be kept. */
const NOT_KEPT = 'n'.charCodeAt(0)

/** Begins a call that was asked for at `begun`. */
export function guardCourse(context: GuardContext, operation: GuardedOperation, begun: number): GuardCourse {
  const { options } = context
  const until = begun + options.deadlineMs
  const attemptMs = options.attemptTimeoutMs + (options.wait?.timeoutMs ?? 0)
  return {
    context,
    operation,
    begun,
    until,
    attemptMs,
    giveUpAt: until + 2 * attemptMs,
    retentionMs: operation.named ? options.retentionMs : options.unnamedRetentionMs,
    deadline: 0,
    proofUntil: 0,
    sentBefore: false,
    settling: false,
    last: undefined,
    unacknowledged: undefined,
  }
}

/** How long there may still be attempts, in ms. */
export function timeLeft({ context, settling, giveUpAt, until }: GuardCourse): number {
  return (settling ? giveUpAt : until) - context.clock.monotonic()
}

/** Looks at the time before an attempt: settling begins when that of the commands is over, and has its own end. */
export function beforeAttempt(course: GuardCourse): Outcome {
  if (timeLeft(course) > 0) return undefined
  if (course.settling || course.unacknowledged !== undefined) return ending(course)
  if (!course.sentBefore) throw course.last ?? tooLate(course.context)
  course.settling = true
  return timeLeft(course) > 0 ? undefined : ending(course)
}

/** On what terms an attempt is made now. */
export function attemptTerms(course: GuardCourse, attempt: number): AttemptTerms {
  if (course.deadline === 0) aim(course)
  const { context, operation, deadline, proofUntil, retentionMs } = course
  const { wait } = context.options
  // A replay writes nothing, so WAIT would speak of something else.
  const touch = wait !== undefined && (attempt > 1 || operation.named)
  return { touch, deadline, proofUntil, retentionMs, largest: context.largest }
}

/** What has to be known of the server was not told; nothing was sent by this attempt. */
export function afterUnready(
  course: GuardCourse,
  { error, retryable }: FactsAnswer & { readonly kind: 'failed' },
): Outcome {
  course.last = error
  const closed = course.context.open.link.closedReason() !== undefined
  if (retryable && !closed) return undefined
  settle(course)
  return closed ? ending(course) : undefined
}

/** Nothing came back. */
export function afterSilence(
  course: GuardCourse,
  { error, sent, closed }: Attempt<never> & { readonly kind: 'failed' },
): Outcome {
  course.last = error
  course.context.facts.clock.doubt()
  course.sentBefore ||= sent && !course.settling
  if (closed !== true) return undefined
  settle(course)
  return ending(course)
}

/** The server answered an error to the whole call. */
export function afterRefusal(
  course: GuardCourse,
  { text, error }: Attempt<never> & { readonly kind: 'refused' },
): Outcome {
  if (!brokeOff(text)) return refused(course, text, error)
  course.last = scriptFailure(course.context.open, text, error)
  // What is executed with it in one call may have been done before.
  course.sentBefore ||= !course.settling
  return undefined
}

/** The script answered. */
export function afterAnswer(course: GuardCourse, given: GuardAnswer, attempt: number): Outcome {
  const verdict = verdictOf(course, given.answer)
  switch (verdict.kind) {
    case 'done':
      return executed(course, verdict, given, attempt)
    case 'late':
      return late(course, verdict.serverMs, given.sentAt)
    case 'refused':
      return refused(course, verdict.text)
    case 'over':
      throw verdict.error
  }
}

function verdictOf(course: GuardCourse, answer: Buffer): Verdict {
  const { context, operation, sentBefore, unacknowledged } = course
  // What replicas did not acknowledge may be too large to be kept; here it is still known.
  if (unacknowledged !== undefined && answer[0] === NOT_KEPT)
    return { kind: 'done', reply: unacknowledged.reply, replayed: true }
  return answerOf(context, operation, answer, sentBefore)
}

function executed(
  course: GuardCourse,
  { reply, replayed }: Verdict & { readonly kind: 'done' },
  { acknowledged }: GuardAnswer,
  attempt: number,
): Outcome {
  const { context, operation } = course
  const { wait } = context.options
  // Asked again only because of the replicas, it was no duplicate.
  if (replayed && course.unacknowledged === undefined) context.events.replay(operation.name, attempt)
  if (wait === undefined || acknowledged >= wait.replicas) return { encoded: reply }
  course.unacknowledged = { reply, why: unacknowledgedError(context, acknowledged) }
  course.sentBefore = true
  course.last = course.unacknowledged.why
  return course.settling ? ending(course) : undefined
}

/** The deadline had passed on the server. If our idea of its clock was wrong, there may be another deadline. */
function late(course: GuardCourse, serverMs: number, sentAt: number): Outcome {
  const { context, deadline } = course
  context.facts.clock.learn(serverMs, sentAt)
  aim(course)
  if (course.settling || course.deadline <= deadline || timeLeft(course) <= 0) throw tooLate(context)
  // Nothing has been executed, by any attempt.
  course.sentBefore = false
  return undefined
}

/** Nothing was executed by this attempt; where that does not pass by itself, no other would be. */
function refused(course: GuardCourse, text: string, cause?: unknown): Outcome {
  const { open } = course.context
  course.last = scriptFailure(open, text, cause)
  if (!passes(text, open.link.topology)) settle(course)
  return undefined
}

/** Gives the commands up: at once where none was sent, else it is asked from now on what became of them. */
function settle(course: GuardCourse): void {
  if (!course.sentBefore) throw course.last
  course.settling = true
}

/** The end of what is not asked about any more. */
function ending({ context, operation, unacknowledged, last }: GuardCourse): GuardedReply {
  // Later attempts may not have been answered at all, which is not why.
  if (unacknowledged !== undefined)
    return { encoded: unacknowledged.reply, unacknowledged: unacknowledged.why }
  throw ambiguous(context, operation, last)
}

/** Places the times on the server's clock, by what is known of it now: the deadline only ever later. */
function aim(course: GuardCourse): void {
  const { begun, context, retentionMs } = course
  const ahead = context.facts.clock.known()
  const deadline = Math.ceil(begun + (ahead?.mostMs ?? 0) + context.options.deadlineMs)
  course.deadline = Math.max(course.deadline, deadline)
  course.proofUntil = Math.floor(begun + (ahead?.leastMs ?? 0) + retentionMs) - 1
}

/** The error of what was never executed. */
export function tooLate({ open, options }: GuardContext): OncewardError {
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
