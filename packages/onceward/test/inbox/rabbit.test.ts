/** RabbitMQ, by the package amqplib on a real server. */
import amqp, { type Channel, type ChannelModel } from 'amqplib'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { type RabbitOptions, rabbitConsume } from '../../src/inbox/index.ts'
import { sqliteInbox } from './brokers-kit.ts'

await describeWith('rabbitmq', 'rabbitConsume', ({ rabbitmq }) => {
  let name = 0
  let connections: ChannelModel[]
  let channel: Channel
  let queue: string
  let dead: string
  let kit: Awaited<ReturnType<typeof sqliteInbox>>

  const connect = async () => {
    const connection = await amqp.connect(rabbitmq.url)
    connection.on('error', () => {})
    connections.push(connection)
    const opened = await connection.createChannel()
    await opened.prefetch(10)
    return { connection, channel: opened }
  }
  beforeEach(async () => {
    connections = []
    kit = await sqliteInbox({ maxAttempts: 2 })
    ;({ channel } = await connect())
    queue = `inbox-${process.pid}-${name++}`
    dead = `${queue}-dead`
    await channel.assertQueue(dead)
    await channel.assertQueue(queue, { deadLetterExchange: '', deadLetterRoutingKey: dead })
  })
  afterEach(async () => {
    const cleaner = await connect()
    await cleaner.channel.deleteQueue(queue)
    await cleaner.channel.deleteQueue(dead)
    await Promise.allSettled(connections.map((connection) => connection.close()))
    await kit.close()
  })
  const timeout = 10_000
  const send = (body: string, messageId?: string) =>
    channel.sendToQueue(queue, Buffer.from(body), messageId === undefined ? {} : { messageId })
  const count = async (of: string) => (await channel.checkQueue(of)).messageCount
  const consume = (
    on: Channel,
    inbox = kit.watched(),
    options: RabbitOptions<amqp.ConsumeMessage> = {},
    poison = 'poison',
  ) =>
    rabbitConsume<amqp.ConsumeMessage, Parameters<typeof kit.write>[0]>(
      on,
      queue,
      inbox,
      (tx, message) => {
        const body = message.content.toString()
        kit.write(tx, body)
        if (body === poison && !(poison === 'once' && message.fields.redelivered)) throw new Error('poison')
      },
      { retryDelayMs: 10, ...options },
    )

  it('acknowledges after the commit, and lets what was published twice take effect once', async () => {
    const consumer = await consume(channel)
    for (const id of ['m1', 'm2', 'm1', 'm3', 'm1']) send(id, id)
    await expect.poll(() => kit.outcomes.length, { timeout }).toBe(5)
    await consumer.stop()
    expect(kit.effects()).toEqual(['m1', 'm2', 'm3'])
    expect(kit.outcomes.filter((one) => one === 'duplicate')).toHaveLength(2)
    await channel.close()
    ;({ channel } = await connect())
    expect(await count(queue)).toBe(0)
  })

  it('knows a message again whose consumer has died between the commit and the acknowledgement', async () => {
    const doomed = await connect()
    // It dies below, and is not there to be closed.
    connections.pop()
    const errors = vi.fn()
    const inbox = kit.watched(() =>
      (
        doomed.connection as unknown as { connection: { stream: { destroy(): void } } }
      ).connection.stream.destroy(),
    )
    await consume(doomed.channel, inbox, { onError: errors })
    send('m1', 'm1')
    await expect.poll(() => kit.outcomes, { timeout }).toEqual(['processed'])
    const next = await connect()
    const consumer = await consume(next.channel)
    await expect.poll(() => kit.outcomes, { timeout }).toEqual(['processed', 'duplicate'])
    await consumer.stop()
    expect(kit.effects()).toEqual(['m1'])
    await next.channel.close()
    expect(await count(queue)).toBe(0)
  })

  it('has a message that failed delivered again, and parks one that goes on failing in the dead letter queue', async () => {
    const onDead = vi.fn()
    const onError = vi.fn()
    const consumer = await consume(channel, kit.watched(), { onDead, onError })
    send('poison', 'm1')
    await expect.poll(() => count(dead), { timeout }).toBe(1)
    await consumer.stop()
    expect(onError).toHaveBeenCalledTimes(1)
    expect(onDead).toHaveBeenCalledWith(
      expect.objectContaining({ fields: expect.objectContaining({ redelivered: true }) }),
      expect.objectContaining({ outcome: 'dead', attempts: 2 }),
    )
    expect(kit.effects()).toEqual([])
    expect(await kit.inbox.failures()).toMatchObject([{ id: 'm1' }])
    expect(await count(queue)).toBe(0)
  })

  it('processes what has failed once', async () => {
    const consumer = await consume(channel, kit.watched(), {}, 'once')
    send('once', 'm1')
    await expect.poll(() => kit.outcomes, { timeout }).toEqual(['processed'])
    await consumer.stop()
    expect(kit.effects()).toEqual(['once'])
  })

  it('gives a message without an id to the dead letter queue, unless the id can be derived', async () => {
    const onError = vi.fn()
    const consumer = await consume(channel, kit.watched(), { onError })
    send('m1')
    await expect.poll(() => count(dead), { timeout }).toBe(1)
    await consumer.stop()
    expect(String(onError.mock.calls[0]?.[0])).toMatch(/no id/)
    const derived = await consume(channel, kit.watched(), { id: ({ content }) => content.toString() })
    send('m2')
    send('m2')
    await expect.poll(() => kit.outcomes, { timeout }).toEqual(['processed', 'duplicate'])
    await derived.stop()
    expect(kit.effects()).toEqual(['m2'])
  })

  it('gives what failed to the dead letter queue at once, if told to', async () => {
    const consumer = await consume(channel, kit.watched(), { onFailure: 'dead-letter' })
    send('poison', 'm1')
    await expect.poll(() => count(dead), { timeout }).toBe(1)
    await consumer.stop()
  })

  it('waits at its stop for what is under way, though its channel was closed meanwhile', async () => {
    const { channel: closing } = await connect()
    let [begun, ended] = [false, false]
    let end = () => {}
    const consumer = await consume(
      closing,
      kit.watched(async () => {
        begun = true
        await new Promise<void>((resolve) => {
          end = resolve
        })
        ended = true
      }),
    )
    send('a', 'm1')
    await expect.poll(() => begun, { timeout }).toBe(true)
    await closing.close()
    const endedAtStop = consumer.stop().then(
      () => ended,
      () => ended,
    )
    await new Promise((resolve) => setImmediate(resolve))
    end()
    expect(await endedAtStop).toBe(true)
  })

  it('tells when the server has cancelled the consumer', async () => {
    const onCancelled = vi.fn()
    await consume(channel, kit.watched(), { onCancelled })
    await channel.deleteQueue(queue)
    await expect.poll(() => onCancelled.mock.calls.length, { timeout }).toBe(1)
  })
})
