/** Kafka: the consumer of kafkajs itself runs the wrappers; its broker is played by a list of offsets. */
import { createRequire } from 'node:module'
import type { Consumer, EachBatchPayload, EachMessagePayload, KafkaMessage } from 'kafkajs'
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import { kafkaBatches, kafkaMessages } from '../../src/inbox/index.ts'
import { sqliteInbox } from './brokers-kit.ts'

interface RunsBatches {
  running: boolean
  processEachMessage(batch: object): Promise<void>
  processEachBatch(batch: object): Promise<void>
}
const require = createRequire(import.meta.url)
const Runner = require('kafkajs/src/consumer/runner') as new (parts: object) => RunsBatches
const Batch = require('kafkajs/src/consumer/batch') as new (
  topic: string,
  offset: string,
  data: object,
) => object

let kit: Awaited<ReturnType<typeof sqliteInbox>>
beforeEach(async () => {
  kit = await sqliteInbox({ maxAttempts: 2 })
})
afterEach(() => kit.close())

const message = (offset: number, headers: KafkaMessage['headers'] = {}): object => ({
  offset: String(offset),
  key: null,
  value: Buffer.from(`value ${offset}`),
  timestamp: '0',
  attributes: 0,
  headers,
})
const messages = (count: number) => Array.from({ length: count }, (_, offset) => message(offset))

/** Runs a batch through kafkajs' own runner; answers what it has resolved, committed and thrown. */
function runner(run: object) {
  const resolved: number[] = []
  const seen = { stale: false, heartbeats: 0, commits: 0 }
  const consumerGroup = {
    groupId: 'g',
    memberId: 'm',
    resolveOffset: ({ offset }: { offset: string }) => resolved.push(Number(offset)),
    heartbeat: async () => void seen.heartbeats++,
    commitOffsets: async () => void seen.commits++,
    commitOffsetsIfNecessary: async () => void seen.commits++,
    uncommittedOffsets: () => ({}),
    hasSeekOffset: () => seen.stale,
    isPaused: () => false,
    pause() {},
    resume() {},
  }
  const logger = { namespace: () => logger, error() {}, debug() {}, info() {}, warn() {} }
  const instance = new Runner({
    logger,
    consumerGroup,
    instrumentationEmitter: { emit() {} },
    concurrency: 1,
    onCrash() {},
    ...run,
  })
  instance.running = true
  const batchOf = (all: readonly object[]) =>
    new Batch('orders', '0', { partition: 3, highWatermark: '100', messages: all, abortedTransactions: [] })
  return {
    instance,
    resolved,
    seen,
    messages: (all: readonly object[]) => instance.processEachMessage(batchOf(all)),
    batch: (all: readonly object[]) => instance.processEachBatch(batchOf(all)),
  }
}

describe('kafkaMessages', () => {
  it('fits consumer.run, and its handler sees what kafkajs gives', () => {
    const run = kafkaMessages(kit.inbox, (_tx, payload: EachMessagePayload) => payload.heartbeat())
    expectTypeOf(run).toExtend<NonNullable<Parameters<Consumer['run']>[0]>>()
  })

  it('processes an offset once, however often it is fetched', async () => {
    const run = kafkaMessages(kit.watched(), (tx, payload: EachMessagePayload) =>
      kit.write(tx, payload.message.offset),
    )
    const consumer = runner(run)
    await consumer.messages(messages(3))
    await consumer.messages(messages(3))
    expect(kit.outcomes).toEqual([...Array(3).fill('processed'), ...Array(3).fill('duplicate')])
    expect(kit.effects()).toEqual(['0', '1', '2'])
    expect(consumer.resolved).toEqual([0, 1, 2, 0, 1, 2])
  })

  it('stays at a message that fails, and goes on when it is dead', async () => {
    const dead: string[] = []
    const run = kafkaMessages(
      kit.watched(),
      (tx, { message: { offset } }: EachMessagePayload) => {
        kit.write(tx, offset)
        if (offset === '1') throw new Error('poison')
      },
      { onDead: (payload) => void dead.push(payload.message.offset) },
    )
    const consumer = runner(run)
    await expect(consumer.messages(messages(3))).rejects.toThrow('poison')
    expect(consumer.resolved).toEqual([0])
    await consumer.messages(messages(3).slice(1))
    expect(consumer.resolved).toEqual([0, 1, 2])
    expect(dead).toEqual(['1'])
    expect(kit.effects()).toEqual(['0', '2'])
  })

  it('takes the id from a header, and refuses a message without', async () => {
    const run = kafkaMessages(
      kit.watched(),
      (tx, payload: EachMessagePayload) => kit.write(tx, payload.message.offset),
      { idHeader: 'event-id' },
    )
    const consumer = runner(run)
    await consumer.messages([message(0, { 'event-id': Buffer.from('e1') }), message(1, { 'event-id': 'e1' })])
    expect(kit.outcomes).toEqual(['processed', 'duplicate'])
    await expect(consumer.messages([message(2)])).rejects.toThrow(/no id/)
  })
})

describe('kafkaBatches', () => {
  const batches = (handler: (place: string) => void = () => {}, options = {}) =>
    kafkaBatches(
      kit.watched(),
      (tx, fresh: readonly KafkaMessage[]) => {
        for (const { offset } of fresh) {
          kit.write(tx, offset)
          handler(offset)
        }
      },
      { pieces: 2, ...options },
    )

  it('fits consumer.run, and its handler sees what kafkajs gives', () => {
    const run = kafkaBatches(
      kit.inbox,
      (_tx, fresh: readonly KafkaMessage[], payload) => payload.batch.messages.length + fresh.length,
    )
    expectTypeOf(run).toExtend<NonNullable<Parameters<Consumer['run']>[0]>>()
    expectTypeOf<EachBatchPayload>().toExtend<Parameters<typeof run.eachBatch>[0]>()
  })

  it('processes a batch in pieces: heartbeat and commit after each, and nothing twice', async () => {
    const consumer = runner(batches())
    await consumer.batch(messages(5))
    expect(consumer.resolved).toEqual([1, 3, 4])
    expect(consumer.seen).toMatchObject({ heartbeats: 3, commits: 3 })
    await consumer.batch(messages(6))
    expect(kit.effects()).toEqual(['0', '1', '2', '3', '4', '5'])
  })

  it('does a piece that fails message by message, and has the poison alone dead', async () => {
    const dead: string[] = []
    const run = batches(
      (offset) => {
        if (offset === '2') throw new Error('poison')
      },
      { onDead: ({ offset }: KafkaMessage) => void dead.push(offset) },
    )
    const consumer = runner(run)
    await expect(consumer.batch(messages(5))).rejects.toThrow('poison')
    expect(consumer.resolved).toEqual([1])
    await consumer.batch(messages(5).slice(2))
    expect(dead).toEqual(['2'])
    expect(kit.effects()).toEqual(['0', '1', '3', '4'])
    expect(consumer.resolved.at(-1)).toBe(4)
    // Fetched again, the dead one holds nobody up.
    await consumer.batch(messages(6))
    expect(kit.effects()).toEqual(['0', '1', '3', '4', '5'])
    expect(consumer.resolved.at(-1)).toBe(5)
  })

  it('stops where kafkajs is stopping, and leaves the rest unresolved', async () => {
    const consumer = runner(
      batches((offset) => {
        if (offset === '1') consumer.instance.running = false
      }),
    )
    await consumer.batch(messages(5))
    expect(kit.effects()).toEqual(['0', '1'])
    expect(consumer.resolved).toEqual([1])
  })

  it('resolves nothing where kafkajs has sought elsewhere meanwhile', async () => {
    const consumer = runner(
      batches((offset) => {
        if (offset === '1') consumer.seen.stale = true
      }),
    )
    await consumer.batch(messages(5))
    expect(kit.effects()).toEqual(['0', '1'])
    expect(consumer.resolved).toEqual([])
  })
})
