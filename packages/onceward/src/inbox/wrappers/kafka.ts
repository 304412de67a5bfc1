import { wholeNumber } from '../../core/known-fields.ts'
import type { Inbox } from '../inbox-types.ts'
import { checkWrapper, type ProcessingInbox, type WrapperOptions, wrapperId } from './wrapper-options.ts'

/** The part of a message of kafkajs that is used. */
export interface KafkaRecord {
  readonly offset: string
  readonly headers?: Readonly<Record<string, unknown>>
}

/** The part of what kafkajs gives to `eachMessage` that is used. */
export interface KafkaMessagePayload {
  readonly topic: string
  readonly partition: number
  readonly message: KafkaRecord
}

/** The part of what kafkajs gives to `eachBatch` that is used. */
export interface KafkaBatchPayload<R extends KafkaRecord = KafkaRecord> {
  readonly batch: { readonly topic: string; readonly partition: number; readonly messages: readonly R[] }
  resolveOffset(offset: string): void
  heartbeat(): Promise<void>
  commitOffsetsIfNecessary(): Promise<void>
  isRunning(): boolean
  isStale(): boolean
}

/** Options of the wrappers for Kafka. By default an id is `topic/partition/offset`: good until a topic is made anew. */
export interface KafkaOptions<M> extends WrapperOptions<M> {
  /** The header that the producer puts the id into; also where a producer without idempotence writes a message twice. */
  readonly idHeader?: string
}

/**
 * Wraps work on one message for `consumer.run` of kafkajs. What the work throws is thrown on: kafkajs tries again, and stays at
 * that message until it goes through or is dead.
 *
 * @example
 * import type { PoolClient } from 'pg'
 *
 * const run = kafkaMessages(createInbox<PoolClient>({ db: pool, consumer: 'billing' }), async (tx, { message }) => {
 *   await tx.query('INSERT INTO seen (place) VALUES ($1)', [message.offset])
 * })
 * // await consumer.run(run)
 */
export function kafkaMessages<P extends KafkaMessagePayload, Tx = unknown>(
  inbox: ProcessingInbox<Tx>,
  handler: (tx: Tx, payload: P) => unknown,
  options: KafkaOptions<P> = {},
): { eachMessage(payload: P): Promise<void> } {
  checkWrapper('kafkaMessages', handler, options, ['idHeader'])
  return {
    async eachMessage(payload) {
      try {
        const id = wrapperId(payload, options.id, () =>
          usualId(payload.topic, payload.partition, payload.message, options.idHeader),
        )
        const outcome = await inbox.process(id, (tx) => handler(tx, payload))
        if (outcome.outcome === 'dead') await options.onDead?.(payload, outcome)
      } catch (error) {
        options.onError?.(error, payload)
        throw error
      }
    },
  }
}

/**
 * Wraps work on many messages for `consumer.run` of kafkajs: pieces of a batch in one transaction each. A piece that fails is
 * done again message by message, so that one poison message holds up only itself.
 *
 * It resolves offsets after their commit, sends heartbeats between pieces, and stops where kafkajs is stopping or has sought
 * elsewhere. `eachBatchAutoResolve` is off, because kafkajs would skip what was left then: spread the answer into `run`.
 *
 * @param handler - Is given the new messages of a piece. Called with one where a piece has failed.
 * @param options.pieces - How many messages one transaction takes. Default 100.
 */
export function kafkaBatches<R extends KafkaRecord, Tx = unknown>(
  inbox: Pick<Inbox<Tx>, 'process' | 'processBatch'>,
  handler: (tx: Tx, fresh: readonly R[], payload: KafkaBatchPayload<R>) => unknown,
  options: KafkaOptions<R> & { readonly pieces?: number } = {},
): { readonly eachBatchAutoResolve: false; eachBatch(payload: KafkaBatchPayload<R>): Promise<void> } {
  checkWrapper('kafkaBatches', handler, options, ['idHeader', 'pieces'])
  const pieces = wholeNumber('pieces', options.pieces ?? 100, 1, 10_000)

  return {
    eachBatchAutoResolve: false,
    async eachBatch(payload) {
      const { topic, partition, messages } = payload.batch
      const goesOn = () => payload.isRunning() && !payload.isStale()
      const done = async (record: R) => {
        // Where kafkajs has sought elsewhere meanwhile, this offset is none of its plans any more.
        if (payload.isStale()) return
        payload.resolveOffset(record.offset)
        await payload.heartbeat()
        await payload.commitOffsetsIfNecessary()
      }
      for (let from = 0; from < messages.length && goesOn(); from += pieces) {
        const piece = messages.slice(from, from + pieces).map((record) => ({
          record,
          id: wrapperId(record, options.id, () => usualId(topic, partition, record, options.idHeader)),
        }))
        const together = await inbox
          .processBatch(piece, (tx, fresh) =>
            handler(
              tx,
              fresh.map(({ record }) => record),
              payload,
            ),
          )
          .catch((error: unknown) => {
            for (const { record } of piece.slice(0, 1)) options.onError?.(error, record)
            return undefined
          })
        // Those that are dead are told of one by one, like those of a piece that has failed.
        const alone = together?.dead.length === 0 ? piece.slice(-1) : piece
        for (const { id, record } of alone) {
          if (alone === piece && !goesOn()) return
          const outcome =
            alone === piece ? await inbox.process(id, (tx) => handler(tx, [record], payload)) : undefined
          if (outcome?.outcome === 'dead') await options.onDead?.(record, outcome)
          await done(record)
        }
      }
    },
  }
}

function usualId(
  topic: string,
  partition: number,
  { offset, headers }: KafkaRecord,
  idHeader?: string,
): unknown {
  if (idHeader === undefined) return `${topic}/${partition}/${offset}`
  const value = headers?.[idHeader]
  return value instanceof Uint8Array ? Buffer.from(value).toString() : value
}
