import type { Once, Operation } from '../../core/once-types.ts'
import { type JobOptions, onceDelivered } from './once-delivered.ts'

/** The part of a job of Graphile Worker that is used. */
export interface GraphileJob {
  readonly id: string | number | bigint
  readonly task_identifier: string
  readonly payload: unknown
  /** How often it was replaced by its `job_key`. */
  readonly revision?: number
  readonly created_at?: Date | string
}

/** The part of the helpers of Graphile Worker that is used. */
export interface GraphileHelpers {
  readonly job: GraphileJob
}

/**
 * Makes a task of Graphile Worker run each job once, however often it is delivered: retried, or unlocked while its first worker
 * still ran.
 *
 * A job is told by its task, its id and its revision, so that one whose payload was replaced is another. A job that is held, or
 * failed for good, is refused in each delivery without being run, until its attempts are used up.
 *
 * A payload that is a list is one job too: all of it is done, or it is delivered again as a whole.
 *
 * Limit: as of `once.run`. A crash after an effect outside leaves the operation held; with `onCrash: 'rerun'` the next
 * delivery runs it again. A worker that is killed keeps its jobs locked for four hours, unless they are unlocked.
 *
 * @param task - Gets the payload, the helpers, and `op`: its fence, its signal, `downstreamKey`.
 * @example
 * import { onceTask } from 'onceward/tasks'
 *
 * const tasks = {
 *   charge: onceTask(once, async (payload: { order: string }, helpers, op) => {
 *     await charge({ order: payload.order, key: op.downstreamKey('bank') })
 *   }),
 * }
 */
export function onceTask<Payload, Helpers extends GraphileHelpers, T>(
  once: Once,
  task: (payload: Payload, helpers: Helpers, op: Operation) => T | Promise<T>,
  options: JobOptions<GraphileJob> = {},
): (payload: unknown, helpers: Helpers) => Promise<void> {
  const run = onceDelivered(once, task, options, {
    wrapper: 'onceTask',
    keyOf,
    inputOf: ({ payload }) => payload,
  })
  return async (payload, helpers) => {
    // What a task answers means something to Graphile Worker only in batches, which are one operation here.
    await run(helpers.job, (op) => task(payload as Payload, helpers, op))
  }
}

function keyOf({ task_identifier, id, revision, created_at }: GraphileJob): readonly unknown[] {
  // Ids begin again with a new database; the time does not.
  const created = created_at === undefined ? null : new Date(created_at).toISOString()
  return ['graphile-worker', `${task_identifier}:${id}`, revision ?? 0, created]
}
