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
    let outcome = beforeAttempt(course)
    if (outcome === undefined) {
      if (attempt > 1) context.events.retry(operation.name, attempt, course.last)
      const limitMs = Math.max(1, Math.min(course.attemptMs, timeLeft(course)))
      const asked = context.facts.within(limitMs)
      const ready = 'kind' in asked ? asked : await asked
      outcome =
        ready.kind === 'failed'
          ? afterUnready(course, ready)
          : afterAttempt(course, await made(course, attempt, limitMs), attempt)
    }
    if (outcome !== undefined) return outcome
    const left = timeLeft(course)
    if (left > 0) await pause(context, Math.min(retryPauseMs(context.random, attempt), left))
  }
}

/** Makes one attempt. */
function made(course: GuardCourse, attempt: number, limitMs: number): Promise<Attempt<GuardAnswer>> {
  const { context, operation, settling } = course
  const submitted = context.batches.submit(guardItem(operation, settling, attemptTerms(course, attempt)))
  return settling ? cutOff(submitted, limitMs, context) : submitted
}

function afterAttempt(course: GuardCourse, ended: Attempt<GuardAnswer>, attempt: number): Outcome {
  if (ended.kind === 'replied') return afterAnswer(course, ended.reply, attempt)
  return ended.kind === 'failed' ? afterSilence(course, ended) : afterRefusal(course, ended)
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
