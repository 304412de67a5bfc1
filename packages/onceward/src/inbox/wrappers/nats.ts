import type { Timers } from '../../core/clock.ts'
import { atLeast } from '../../core/known-fields.ts'
import { systemTimers } from '../../core/system.ts'
import { checkWrapper, type ProcessingInbox, type WrapperOptions, wrapperId } from './wrapper-options.ts'

/** The part of a message of JetStream (`@nats-io/jetstream`) that is used. */
export interface JetstreamMessage {
  readonly info: { readonly stream: string; readonly streamSequence: number }
  readonly headers?: { get(name: string): string } | undefined
  ack(): void
  nak(delayMs?: number): void
  term(): void
  working(): void
}

/** Options of `natsConsume`. By default the id is the header `Nats-Msg-Id`, else the stream and its sequence number. */
export interface NatsOptions<M> extends WrapperOptions<M> {
  /** How often JetStream is told that the work goes on, in ms: less than `ack_wait` of the consumer. Default 10,000. */
  readonly workingEveryMs?: number
  /** After how many ms JetStream shall deliver a failed message again. Default 1,000. */
  readonly retryDelayMs?: number
  readonly timers?: Timers
}

/**
 * Processes messages of JetStream one after another, until `messages` ends: acknowledged after the commit of their effects, kept
 * from being redelivered while their handler runs, delivered again when it throws. A dead message is terminated.
 *
 * Run several for more at once; they may share an inbox.
 *
 * @param messages - What `await consumer.consume()` answers. Close it to stop.
 * @example
 * import type { PoolClient } from 'pg'
 *
 * declare const messages: AsyncIterable<import('@nats-io/jetstream').JsMsg>
 * const inbox = createInbox<PoolClient>({ db: pool, consumer: 'billing' })
 * await natsConsume(messages, inbox, async (tx, message) => {
 *   await tx.query('INSERT INTO orders (body) VALUES ($1)', [message.string()])
 * })
 */
export async function natsConsume<M extends JetstreamMessage, Tx = unknown>(
  messages: AsyncIterable<M>,
  inbox: ProcessingInbox<Tx>,
  handler: (tx: Tx, message: M) => unknown,
  options: NatsOptions<M> = {},
): Promise<void> {
  checkWrapper('natsConsume', handler, options, ['workingEveryMs', 'retryDelayMs', 'timers'])
  const { timers = systemTimers } = options
  const workingEveryMs = atLeast('workingEveryMs', options.workingEveryMs ?? 10_000, 10)
  const retryDelayMs = atLeast('retryDelayMs', options.retryDelayMs ?? 1000, 0)

  /** Tells JetStream something. Where the connection is gone, the message comes again, and what is done is known. */
  const tell = (message: M, word: () => void): void => {
    try {
      word()
    } catch (error) {
      options.onError?.(error, message)
    }
  }
  const keepAlive = (message: M) => {
    let stop = () => {}
    const next = () => {
      stop = timers.after(workingEveryMs, () => {
        tell(message, () => message.working())
        next()
      })
    }
    next()
    return () => stop()
  }
  /** Answers what JetStream is told. */
  const processed = async (message: M): Promise<() => void> => {
    let id: string
    try {
      id = wrapperId(message, options.id, () => usualId(message))
    } catch (error) {
      options.onError?.(error, message)
      return () => message.term()
    }
    const stop = keepAlive(message)
    try {
      const outcome = await inbox.process(id, (tx) => handler(tx, message))
      if (outcome.outcome !== 'dead') return () => message.ack()
      await options.onDead?.(message, outcome)
      // Without a reason, which servers before 2.11 take for no word at all.
      return () => message.term()
    } catch (error) {
      options.onError?.(error, message)
      return () => message.nak(retryDelayMs)
    } finally {
      stop()
    }
  }
  for await (const message of messages) tell(message, await processed(message))
}

function usualId({ headers, info }: JetstreamMessage): string {
  return headers?.get('Nats-Msg-Id') || `${info.stream}/${info.streamSequence}`
}
