import { checkWrapper, type ProcessingInbox, type WrapperOptions, wrapperId } from './wrapper-options.ts'

/** The part of a job of BullMQ that is used. */
export interface BullmqJob {
  /** Optional in the types of BullMQ; a job that runs has one. */
  readonly id?: string | undefined
  readonly queueName: string
  /** When it was added, in ms. */
  readonly timestamp: number
}

/** Options of `bullmqProcessor`. By default the id is made of the queue, the id of the job and when it was added. */
export interface BullmqOptions<J, T> extends WrapperOptions<J> {
  /** The return value of a job whose effect was committed before, by a run that could not say so any more. Default undefined. */
  readonly onDuplicate?: (job: J) => T | Promise<T>
}

/**
 * Makes a processor for a `Worker` of BullMQ. A job that has stalled, or whose worker has died after the commit, runs again by
 * BullMQ's rules; its effect does not.
 *
 * What the handler throws is thrown on: attempts and back-off are BullMQ's (`attempts`, `backoff`). A dead job fails for good.
 * A job that is added again under the same `jobId` is another one; give `id` to have them taken for the same.
 *
 * @example
 * import type { PoolClient } from 'pg'
 *
 * const inbox = createInbox<PoolClient>({ db: pool, consumer: 'mail' })
 * const processor = bullmqProcessor(inbox, async (tx, job: import('bullmq').Job<{ to: string }>) => {
 *   await tx.query('INSERT INTO mails (recipient) VALUES ($1)', [job.data.to])
 * })
 * // new Worker('mail', processor, { connection })
 */
export function bullmqProcessor<J extends BullmqJob, T, Tx = unknown>(
  inbox: ProcessingInbox<Tx>,
  handler: (tx: Tx, job: J) => T | Promise<T>,
  options: BullmqOptions<J, T> = {},
): (job: J) => Promise<T | undefined> {
  checkWrapper('bullmqProcessor', handler, options, ['onDuplicate'])
  return async (job) => {
    try {
      const id = wrapperId(job, options.id, () =>
        job.id === undefined ? undefined : `${job.queueName}/${job.id}/${job.timestamp}`,
      )
      const outcome = await inbox.process(id, (tx) => handler(tx, job))
      if (outcome.outcome === 'processed') return outcome.value
      if (outcome.outcome === 'duplicate') return await options.onDuplicate?.(job)
      await options.onDead?.(job, outcome)
      throw new UnrecoverableError(`the job is dead after ${outcome.attempts} failed attempts`, {
        cause: outcome.cause,
      })
    } catch (error) {
      options.onError?.(error, job)
      throw error
    }
  }
}

/** BullMQ tells by the name that it shall not try again. */
class UnrecoverableError extends Error {
  override readonly name: string = 'UnrecoverableError'
}
