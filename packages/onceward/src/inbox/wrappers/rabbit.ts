import type { Timers } from '../../core/clock.ts'
import { atLeast } from '../../core/known-fields.ts'
import { pause } from '../../core/pause.ts'
import { systemTimers } from '../../core/system.ts'
import { checkWrapper, type ProcessingInbox, type WrapperOptions, wrapperId } from './wrapper-options.ts'

/** The part of a message of amqplib that is used. */
export interface RabbitMessage {
  readonly content: Uint8Array
  readonly properties: { readonly messageId?: unknown; readonly headers?: unknown }
}

/** The part of a channel of amqplib (promises) that is used. */
export interface RabbitChannel<M> {
  consume(
    queue: string,
    onMessage: (message: M | null) => void,
    options?: { readonly noAck?: boolean },
  ): Promise<{ readonly consumerTag: string }>
  ack(message: M): void
  nack(message: M, allUpTo?: boolean, requeue?: boolean): void
  cancel(consumerTag: string): Promise<unknown>
}

/** Options of `rabbitConsume`. By default the id is the property `messageId`, which the publisher must set. */
export interface RabbitOptions<M> extends WrapperOptions<M> {
  /**
   * What becomes of a message whose handler has thrown: `requeue` (the default) delivers it again, `dead-letter` gives it to the
   * dead letter exchange of the queue, or drops it where there is none.
   */
  readonly onFailure?: 'requeue' | 'dead-letter'
  /** How long a failed message rests here before it is requeued, in ms. Default 1,000. */
  readonly retryDelayMs?: number
  /** Called when the server has cancelled the consumer, because the queue was deleted or moved. */
  readonly onCancelled?: () => void
  readonly timers?: Timers
}

/** A consumer that is running. */
export interface RabbitConsumer {
  readonly consumerTag: string
  /** Takes no more messages, and waits for those that are under way. The channel stays open. */
  stop(): Promise<void>
}

/**
 * Consumes a queue of RabbitMQ: each message is acknowledged after the commit of its effect, so that what a crash leaves
 * unacknowledged comes again and is known. Set `channel.prefetch`: so many are processed at once.
 *
 * A dead message, and one without an id, goes to the dead letter exchange.
 *
 * @example
 * import type { PoolClient } from 'pg'
 *
 * declare const channel: import('amqplib').Channel
 * const inbox = createInbox<PoolClient>({ db: pool, consumer: 'billing', maxAttempts: 5 })
 * const consumer = await rabbitConsume(channel, 'orders', inbox, async (tx, message) => {
 *   await tx.query('INSERT INTO orders (body) VALUES ($1)', [message.content.toString()])
 * })
 */
export async function rabbitConsume<M extends RabbitMessage, Tx = unknown>(
  channel: RabbitChannel<M>,
  queue: string,
  inbox: ProcessingInbox<Tx>,
  handler: (tx: Tx, message: M) => unknown,
  options: RabbitOptions<M> = {},
): Promise<RabbitConsumer> {
  checkWrapper('rabbitConsume', handler, options, ['onFailure', 'retryDelayMs', 'onCancelled', 'timers'])
  const { onFailure = 'requeue', timers = systemTimers } = options
  const retryDelayMs = atLeast('retryDelayMs', options.retryDelayMs ?? 1000, 0)
  const running = new Set<Promise<void>>()

  /** Answers how the broker is told. */
  const processed = async (message: M): Promise<() => void> => {
    let id: string
    try {
      id = wrapperId(message, options.id, () => message.properties.messageId)
    } catch (error) {
      options.onError?.(error, message)
      return () => channel.nack(message, false, false)
    }
    try {
      const outcome = await inbox.process(id, (tx) => handler(tx, message))
      if (outcome.outcome !== 'dead') return () => channel.ack(message)
      await options.onDead?.(message, outcome)
      return () => channel.nack(message, false, false)
    } catch (error) {
      options.onError?.(error, message)
      if (onFailure === 'requeue') await pause({ timers }, retryDelayMs)
      return () => channel.nack(message, false, onFailure === 'requeue')
    }
  }
  const received = async (message: M): Promise<void> => {
    const tell = await processed(message)
    try {
      tell()
    } catch (error) {
      // The channel is gone, and the message comes again; what is done is known.
      options.onError?.(error, message)
    }
  }
  const { consumerTag } = await channel.consume(
    queue,
    (message) => {
      if (message === null) return options.onCancelled?.()
      const work = received(message).finally(() => running.delete(work))
      running.add(work)
    },
    { noAck: false },
  )
  return {
    consumerTag,
    async stop() {
      try {
        await channel.cancel(consumerTag)
      } finally {
        // A channel that was closed rejects, and what it has delivered before is under way all the same.
        await Promise.all(running)
      }
    },
  }
}
