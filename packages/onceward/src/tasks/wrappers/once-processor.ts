import { isOncewardError } from '../../core/errors.ts'
import type { Once, Operation } from '../../core/once-types.ts'
import { systemClock } from '../../core/system.ts'
import { type JobOptions, onceDelivered } from './once-delivered.ts'

/** The part of a job of BullMQ that is used. */
export interface BullmqJob {
  readonly id?: string | undefined
  readonly queueName: string
  readonly data: unknown
  /** When it was added, in ms. */
  readonly timestamp: number
  moveToDelayed?(timestamp: number, token?: string): Promise<unknown>
}

/**
 * Makes a processor of BullMQ run each job once, however often it is delivered: retried, stalled, or taken by a second worker
 * because the first was paused.
 *
 * A job is told by its queue, its id and the time at which it was added. What a delivery comes to:
 *
 * - done before: the job completes with the stored value, and the processor is not run;
 * - running elsewhere: it waits for that outcome (`waitMs`), then the job is delayed, which uses up none of its attempts;
 * - held, failed for good, or the same key with other data: the job fails as with `UnrecoverableError`, so that BullMQ does not
 *   retry what would be refused. The reason is the `cause`;
 * - every other error is thrown as it is: BullMQ retries it as the job says. Mark what had no effect with `noEffect`.
 *
 * Limit: as of `once.run`. A crash after an effect outside leaves the operation held; with `onCrash: 'rerun'` the next
 * delivery runs it again.
 *
 * @param processor - Gets the job, `op` (its fence, its signal, `downstreamKey`), and what BullMQ passes on: the token of the
 * lock, and the signal by which a job is cancelled.
 * @example
 * import { onceProcessor } from 'onceward/tasks'
 *
 * const process = onceProcessor(once, async (job: { id?: string; queueName: string; timestamp: number; data: object }, op) =>
 *   stripe.charges.create(job.data, { idempotencyKey: op.downstreamKey('stripe') }),
 * )
 */
export function onceProcessor<Job extends BullmqJob, T>(
  once: Once,
  processor: (job: Job, op: Operation, token?: string, signal?: AbortSignal) => T | Promise<T>,
  options: JobOptions<Job> = {},
): (job: Job, token?: string, signal?: AbortSignal) => Promise<T> {
  const run = onceDelivered(once, processor, options, {
    wrapper: 'onceProcessor',
    keyOf,
    inputOf: ({ data }) => data,
  })
  // Three parameters without defaults: BullMQ counts them, and gives the signal to those who take it.
  return async (job, token, signal) => {
    try {
      return await run(job, (op) => processor(job, op, token, signal))
    } catch (error) {
      throw await forBullmq(job, token, error)
    }
  }
}

function keyOf({ queueName, id, timestamp }: BullmqJob): readonly unknown[] {
  if (id === undefined) throw new TypeError('onceProcessor needs jobs with an id, as BullMQ delivers them')
  // Numbers of jobs begin again when a queue is emptied; the time does not.
  return ['bullmq', queueName, id, timestamp]
}

/** What BullMQ does with an error depends on its name. */
async function forBullmq(job: BullmqJob, token: string | undefined, error: unknown): Promise<unknown> {
  if (isOncewardError(error, 'IN_PROGRESS') && token !== undefined && job.moveToDelayed) {
    await job.moveToDelayed(systemClock.now() + (error.retryAfterMs ?? RETRY_MS), token)
    return named('DelayedError', error)
  }
  return REFUSED.some((code) => isOncewardError(error, code)) ? named('UnrecoverableError', error) : error
}

const RETRY_MS = 1000

/** A further delivery is answered the same, until somebody has reconciled the operation. */
const REFUSED = [
  'OUTCOME_UNKNOWN',
  'OPERATION_FAILED',
  'OUTCOME_NOT_REPLAYABLE',
  'KEY_REUSED',
  'KEY_INVALID',
] as const

function named(name: string, cause: unknown): Error {
  const error = new Error((cause as Error).message, { cause })
  error.name = name
  return error
}
