/** NATS JetStream, by its own packages on a real server, with effects in PostgreSQL. */
import { type Consumer, type JsMsg, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, headers, type NatsConnection, nanos } from '@nats-io/transport-node'
import pg from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { createInbox, type Inbox, type NatsOptions, natsConsume } from '../../src/inbox/index.ts'

await describeWith(['nats', 'postgres'], 'natsConsume', ({ nats, postgres }) => {
  let turn = 0
  let connection: NatsConnection
  let stream: string
  let pool: pg.Pool
  let database: Awaited<ReturnType<typeof postgres.createDatabase>>
  let inbox: Inbox<pg.PoolClient>

  beforeEach(async () => {
    database = await postgres.createDatabase()
    pool = new pg.Pool({ connectionString: database.url })
    inbox = createInbox<pg.PoolClient>({ db: pool, consumer: 'billing', maxAttempts: 2 })
    await inbox.migrate()
    await pool.query('CREATE TABLE effects (place text)')
    connection = await connect({ servers: nats.url.replace('nats://', '') })
    stream = `inbox-${process.pid}-${turn++}`
    const manager = await jetstreamManager(connection)
    await manager.streams.add({ name: stream, subjects: [`${stream}.*`] })
    await manager.consumers.add(stream, {
      durable_name: 'billing',
      ack_policy: 'explicit',
      // What is not about it is not delivered again because the machine is slow.
      ack_wait: nanos(60_000),
      max_ack_pending: 100,
    })
  })
  afterEach(async () => {
    await (await jetstreamManager(connection)).streams.delete(stream)
    await connection.close()
    await inbox.close()
    await pool.end()
    await database.drop()
  })

  const consumerOf = (): Promise<Consumer> => jetstream(connection).consumers.get(stream, 'billing')
  const send = async (body: string, id?: string) => {
    const head = headers()
    if (id !== undefined) head.set('Nats-Msg-Id', id)
    await jetstream(connection).publish(`${stream}.orders`, body, { headers: head })
  }
  const state = async () => (await jetstreamManager(connection)).consumers.info(stream, 'billing')
  const effects = async () =>
    (await pool.query('SELECT place FROM effects ORDER BY place')).rows.map(({ place }) => place)
  const waitForAck = async (ms: number) =>
    (await jetstreamManager(connection)).consumers.update(stream, 'billing', { ack_wait: nanos(ms) })
  /** Consumes until `done` says so. */
  const consume = async (
    handler: (tx: pg.PoolClient, message: JsMsg) => unknown,
    done: () => Promise<boolean>,
    options: NatsOptions<JsMsg> = {},
    through: Pick<Inbox<pg.PoolClient>, 'process'> = inbox,
  ) => {
    const messages = await (await consumerOf()).consume()
    const consuming = natsConsume(messages, through, handler, { retryDelayMs: 10, ...options })
    await expect.poll(done, { timeout: 10_000 }).toBe(true)
    await messages.close()
    await consuming
  }
  const write = (tx: pg.PoolClient, message: JsMsg) =>
    tx.query('INSERT INTO effects (place) VALUES ($1)', [message.string()])
  const settled = async () => {
    const { num_ack_pending: open, num_pending: waiting } = await state()
    return open === 0 && waiting === 0
  }

  it('acknowledges after the commit, and knows an id that the stream has taken twice', async () => {
    // Beyond the window in which JetStream itself drops duplicates: another subject of the same message id.
    await send('m1', 'm1')
    const manager = await jetstreamManager(connection)
    await manager.streams.update(stream, { duplicate_window: nanos(100) })
    await expect
      .poll(
        async () => {
          await send('m1', 'm1')
          return (await manager.streams.info(stream)).state.messages
        },
        { timeout: 10_000 },
      )
      .toBe(2)
    await send('no id')
    await send('no id')
    await consume(write, settled)
    expect(await effects()).toEqual(['m1', 'no id', 'no id'])
  })

  it('knows a message again that was not acknowledged after its commit', async () => {
    await send('m1', 'm1')
    let deliveries = 0
    // The first acknowledgement is lost, as when the process dies after its commit.
    const losing = {
      async process(...args: Parameters<typeof inbox.process>) {
        const outcome = await inbox.process(...args)
        deliveries++
        if (deliveries === 1) return new Promise<never>(() => {})
        return outcome
      },
    }
    const doomed = await connect({ servers: nats.url.replace('nats://', '') })
    const taken = await (await jetstream(doomed).consumers.get(stream, 'billing')).consume()
    void natsConsume(taken, losing as typeof inbox, write, { workingEveryMs: 60_000 }).catch(() => {})
    await expect.poll(() => deliveries, { timeout: 10_000 }).toBe(1)
    await doomed.close()
    await waitForAck(1500)
    await consume(write, settled, { workingEveryMs: 20 }, losing as typeof inbox)
    expect(deliveries).toBe(2)
    expect(await effects()).toEqual(['m1'])
  })

  it('says that it is working, so that a handler may take longer than ack_wait', async () => {
    await waitForAck(2500)
    await send('m1', 'm1')
    const redelivered: boolean[] = []
    await consume(
      async (tx, message) => {
        redelivered.push(message.redelivered)
        await tx.query('SELECT pg_sleep(3.5)')
        await write(tx, message)
      },
      settled,
      { workingEveryMs: 100 },
    )
    expect(redelivered).toEqual([false])
    expect((await state()).delivered.consumer_seq).toBe(1)
    expect(await effects()).toEqual(['m1'])
  })

  it('outlives a connection that is closed under its work', async () => {
    await send('m1', 'm1')
    const doomed = await connect({ servers: nats.url.replace('nats://', '') })
    const messages = await (await jetstream(doomed).consumers.get(stream, 'billing')).consume()
    const consuming = natsConsume(
      messages,
      inbox,
      async (tx, message) => {
        await doomed.close()
        await waitForAck(500)
        await tx.query('SELECT pg_sleep(0.3)')
        await write(tx, message)
      },
      { workingEveryMs: 20 },
    )
    await expect.poll(effects, { timeout: 10_000 }).toEqual(['m1'])
    await consuming.catch(() => {})
    await consume(write, settled)
    expect(await effects()).toEqual(['m1'])
    expect(await inbox.failures({ deadOnly: false })).toEqual([])
  })

  it('has what failed delivered again, and terminates what goes on failing', async () => {
    await send('once', 'm1')
    await send('poison', 'm2')
    const dead: string[] = []
    let failures = 0
    await consume(
      async (tx, message) => {
        await write(tx, message)
        if (message.string() === 'poison' || !message.redelivered) throw new Error('it fails')
      },
      async () => dead.length === 1 && (await settled()),
      { onDead: (message) => void dead.push(message.string()), onError: () => void failures++ },
    )
    expect(await effects()).toEqual(['once'])
    expect(dead).toEqual(['poison'])
    expect(failures).toBe(2)
  })

  it('terminates a message whose id cannot be told', async () => {
    await send('m1')
    const errors: string[] = []
    await consume(write, settled, {
      id: () => undefined,
      onError: (error) => void errors.push(String(error)),
    })
    expect(errors).toEqual([expect.stringMatching(/no id/)])
    expect(await effects()).toEqual([])
  })
})
