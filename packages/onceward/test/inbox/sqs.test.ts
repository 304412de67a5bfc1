/** SQS in Lambda: events in the shapes that AWS documents. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type SqsOptions, type SqsRecord, sqsHandler } from '../../src/inbox/index.ts'
import { sqliteInbox } from './brokers-kit.ts'

interface Record extends SqsRecord {
  readonly body: string
  readonly attributes: { readonly MessageDeduplicationId?: string }
}

let kit: Awaited<ReturnType<typeof sqliteInbox>>
beforeEach(async () => {
  kit = await sqliteInbox({ maxAttempts: 2 })
})
afterEach(() => kit.close())

const event = (ids: readonly string[], queue = 'orders') => ({
  Records: ids.map(
    (messageId): Record => ({
      messageId,
      body: messageId.replace(/-.*/, ''),
      attributes: { MessageDeduplicationId: messageId.replace(/-.*/, '') },
      eventSourceARN: `arn:aws:sqs:eu-central-1:123456789012:${queue}`,
    }),
  ),
})
const handler = (options: SqsOptions<Record> = {}) =>
  sqsHandler(
    kit.watched(),
    (tx, record: Record) => {
      kit.write(tx, record.body)
      if (record.body === 'bad') throw new Error('poison')
    },
    options,
  )
const failures = (...ids: string[]) => ({
  batchItemFailures: ids.map((itemIdentifier) => ({ itemIdentifier })),
})

describe('sqsHandler', () => {
  it('answers only what has failed, and knows what comes again', async () => {
    const handle = handler()
    expect(await handle(event(['a', 'bad', 'c']))).toEqual(failures('bad'))
    expect(await handle(event(['a', 'c']))).toEqual(failures())
    expect(kit.outcomes).toEqual(['processed', 'processed', 'duplicate', 'duplicate'])
    expect(kit.effects()).toEqual(['a', 'c'])
  })

  it('stops at the first failure on a FIFO queue, and answers all that follow', async () => {
    const handle = handler()
    expect(await handle(event(['a', 'bad', 'c', 'd'], 'orders.fifo'))).toEqual(failures('bad', 'c', 'd'))
    expect(kit.effects()).toEqual(['a'])
  })

  it('leaves a dead message to the dead letter queue, or drops it', async () => {
    const dead: string[] = []
    const onDead = (record: Record) => void dead.push(record.messageId)
    const handle = handler({ onDead })
    await handle(event(['bad']))
    expect(await handle(event(['bad']))).toEqual(failures('bad'))
    expect(dead).toEqual(['bad'])
    expect(await handler({ dead: 'drop', onDead })(event(['bad', 'a'], 'orders.fifo'))).toEqual(failures())
    expect(kit.effects()).toEqual(['a'])
  })

  it('takes what a producer has sent twice for one by an id of its own', async () => {
    const handle = handler({ id: (record) => record.attributes.MessageDeduplicationId })
    expect(await handle(event(['a-1', 'a-2']))).toEqual(failures())
    expect(kit.outcomes).toEqual(['processed', 'duplicate'])
  })

  it('answers a record without an id as failed, and tells', async () => {
    const errors: unknown[] = []
    const handle = handler({ id: () => undefined, onError: (error) => void errors.push(error) })
    expect(await handle(event(['a']))).toEqual(failures('a'))
    expect(String(errors[0])).toMatch(/no id/)
  })
})
