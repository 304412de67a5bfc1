import { pause } from '../core/pause.ts'
import type { Attempt } from './attempts.ts'
import type { GuardAnswer } from './guard-batches.ts'
import type { GuardContext, GuardedOperation } from './guard-context.ts'
import {
  afterAnswer,
  afterRefusal,
  afterSilence,
  afterUnready,
  attemptTerms,
  beforeAttempt,
  type GuardCourse,
  type GuardedReply,
  guardCourse,
  type Outcome,
  timeLeft,
  tooLate,
} from './guard-course.ts'
import { guardItem } from './guard-item.ts'
import { retryPauseMs } from './retry-pause.ts'

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
  const course = guardCourse(context, operation, begun)
  for (let attempt = 1; ; attempt++) {
    const reply = beforeAttempt(course) ?? (await attempted(course, attempt))
    if (reply !== undefined) return reply
    const left = timeLeft(course)
    if (left > 0) await pause(context, Math.min(retryPauseMs(context.random, attempt), left))
  }
}

/** Makes one attempt. */
async function attempted(course: GuardCourse, attempt: number): Promise<Outcome> {
  const { attemptMs, context, last, operation, settling } = course
  const { batches, events, facts } = context
  const limitMs = Math.max(1, Math.min(attemptMs, timeLeft(course)))
  if (attempt > 1) events.retry(operation.name, attempt, last)

  const asked = facts.within(limitMs)
  const ready = 'kind' in asked ? asked : await asked
  if (ready.kind === 'failed') return afterUnready(course, ready)
  const submitted = batches.submit(guardItem(operation, settling, attemptTerms(course, attempt)))
  const ended = await (settling ? cutOff(submitted, limitMs, context) : submitted)
  if (ended.kind === 'failed') return afterSilence(course, ended)
  if (ended.kind === 'refused') return afterRefusal(course, ended)
  return afterAnswer(course, ended.reply, attempt)
}

/** The last attempts may take what is left of the time, and no more. */
function cutOff(
  submitted: Promise<Attempt<GuardAnswer>>,
  ms: number,
  context: GuardContext,
): Promise<Attempt<GuardAnswer>> {
  return new Promise((resolve) => {
    const cancel = context.timers.after(ms, () =>
      resolve({ kind: 'failed', error: tooLate(context), sent: true }),
    )
    void submitted.then((ended) => {
      cancel()
      resolve(ended)
    })
  })
}
