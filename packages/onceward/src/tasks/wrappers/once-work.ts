import type { Once, Operation } from '../../core/once-types.ts'
import { type JobOptions, onceDelivered } from './once-delivered.ts'

/** The part of a job of pg-boss that is used. */
export interface PgBossJob {
  readonly id: string
  /** Of its queue. */
  readonly name: string
  readonly data: unknown
}

/**
 * Makes a handler for `work` of pg-boss that runs each job once, however often it is delivered: retried, or expired while its
 * first worker still ran.
 *
 * pg-boss hands over a batch and completes or fails it as a whole. The jobs of a batch run at the same time; when one fails,
 * all are delivered again, and those that are done answer from the store. A job that is held, or failed for good, is refused
 * in each delivery without being run, until its retries are used up: pg-boss has no word for "do not retry".
 *
 * Limit: as of `once.run`. A crash after an effect outside leaves the operation held; with `onCrash: 'rerun'` the next
 * delivery runs it again.
 *
 * @param handler - Gets one job, and `op`: its fence, its signal, `downstreamKey`.
 * @example
 * import { onceWork } from 'onceward/tasks'
 *
 * const work = onceWork(once, async (job: { id: string; name: string; data: { order: string } }, op) =>
 *   charge({ order: job.data.order, key: op.downstreamKey('bank') }),
 * )
 */
export function onceWork<Job extends PgBossJob, T>(
  once: Once,
  handler: (job: Job, op: Operation) => T | Promise<T>,
  options: JobOptions<Job> = {},
): (jobs: readonly Job[] | Job) => Promise<T | T[]> {
  const run = onceDelivered(once, handler, options, {
    wrapper: 'onceWork',
    keyOf: ({ name, id }) => ['pg-boss', name, id],
    inputOf: ({ data }) => data,
  })
  const one = (job: Job) => run(job, (op) => handler(job, op))
  return async (jobs) => {
    // Up to version 9 it was a single job.
    if (!Array.isArray(jobs)) return one(jobs as Job)
    const ended = await Promise.allSettled((jobs as readonly Job[]).map(one))
    const failures = ended.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []))
    if (failures.length === 1) throw failures[0]
    if (failures.length > 1) {
      throw new AggregateError(
        failures,
        `${failures.length} of ${ended.length} jobs failed: ${messageOf(failures[0])}`,
      )
    }
    const values = ended.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []))
    // pg-boss keeps what is answered to a single job.
    return values.length === 1 ? (values[0] as T) : values
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
