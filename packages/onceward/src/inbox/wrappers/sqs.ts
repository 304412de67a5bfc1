import { checkWrapper, type ProcessingInbox, type WrapperOptions, wrapperId } from './wrapper-options.ts'

/** The part of a record of an SQS event in Lambda that is used. */
export interface SqsRecord {
  readonly messageId: string
  readonly eventSourceARN?: string
}

/** What Lambda is answered: the records that SQS shall deliver again. */
export interface SqsBatchResponse {
  readonly batchItemFailures: { readonly itemIdentifier: string }[]
}

/** Options of `sqsHandler`. By default the id is `messageId`, which SQS gives each message that is sent. */
export interface SqsOptions<R> extends WrapperOptions<R> {
  /**
   * What becomes of a dead message: `fail` (the default) lets SQS move it to the dead letter queue after `maxReceiveCount`;
   * `drop` deletes it, after `onDead`.
   */
  readonly dead?: 'fail' | 'drop'
}

/**
 * Makes a Lambda handler for an SQS queue: one transaction a record, in their order; what has failed is answered as
 * `batchItemFailures`, for which the event source mapping needs `ReportBatchItemFailures`.
 *
 * On a FIFO queue it stops at the first failure and answers all that follow too, so that none overtakes another. A producer
 * that sends twice makes two `messageId`s: give `id` then, such as the `MessageDeduplicationId` or a field of the body.
 *
 * @example
 * import type { PoolClient } from 'pg'
 *
 * const inbox = createInbox<PoolClient>({ db: pool, consumer: 'billing' })
 * const handler = sqsHandler(inbox, async (tx, record: { messageId: string; body: string }) => {
 *   await tx.query('INSERT INTO orders (body) VALUES ($1)', [record.body])
 * })
 */
export function sqsHandler<R extends SqsRecord, Tx = unknown>(
  inbox: ProcessingInbox<Tx>,
  handler: (tx: Tx, record: R) => unknown,
  options: SqsOptions<R> = {},
): (event: { readonly Records: readonly R[] }) => Promise<SqsBatchResponse> {
  checkWrapper('sqsHandler', handler, options, ['dead'])
  const { dead = 'fail' } = options

  /** Answers whether SQS may delete it. */
  const processed = async (record: R): Promise<boolean> => {
    try {
      const id = wrapperId(record, options.id, () => record.messageId)
      const outcome = await inbox.process(id, (tx) => handler(tx, record))
      if (outcome.outcome !== 'dead') return true
      await options.onDead?.(record, outcome)
      return dead === 'drop'
    } catch (error) {
      options.onError?.(error, record)
      return false
    }
  }
  return async ({ Records: records }) => {
    const failed: string[] = []
    for (const record of records) {
      const stopped = failed.length > 0 && record.eventSourceARN?.endsWith('.fifo') === true
      if (stopped || !(await processed(record))) failed.push(record.messageId)
    }
    return { batchItemFailures: failed.map((itemIdentifier) => ({ itemIdentifier })) }
  }
}
