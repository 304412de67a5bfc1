/** Each kind of server starts, answers a client that users have, and is gone when it is stopped. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect as connectNats } from '@nats-io/transport-node'
import amqp from 'amqplib'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { createClient, createCluster, createSentinel } from 'redis'
import { expect, it, vi } from 'vitest'
import {
  describeWhere,
  startEtcd,
  startMariadb,
  startNats,
  startNginx,
  startPgbouncer,
  startPostgres,
  startRabbitmq,
  startRedis,
  startRedisCluster,
  startRedisReplica,
  startRedisSentinel,
} from './index.mjs'
import { descendantsOf, isAlive } from './processes.mjs'

// Many servers start here, some of them with real fsyncs, and the machine may be busy with other tests.
vi.setConfig({ testTimeout: 90_000 })

const page = (port) =>
  `events {} http { server { listen 127.0.0.1:${port}; location / { return 200 "hello"; } } }`

/** How one is started, and what a client says to it and hears. */
const KINDS = [
  { name: 'redis', start: () => startRedis({ password: 'two words' }), ask: askRedis, says: 'PONG' },
  { name: 'postgres', start: () => startPostgres({ password: "it's p@ss" }), ask: askPostgres, says: 1 },
  { name: 'mariadb', start: () => startMariadb(), ask: askMariadb, says: 1 },
  { name: 'rabbitmq', start: () => startRabbitmq(), ask: askRabbitmq, says: 0 },
  { name: 'nats', start: () => startNats(), ask: askNats, says: 'pong' },
  { name: 'nginx', start: () => startNginx({ config: page }), ask: askHttp(''), says: 'hello' },
  {
    name: 'etcd',
    start: () => startEtcd(),
    ask: askHttp('/health'),
    says: expect.stringContaining('"true"'),
  },
]

for (const { name, start, ask, says } of KINDS) {
  await describeWhere(name, name, () => {
    // Once more where a busy machine lets a server miss its own time limits (an etcd that elects its leader, for one).
    it('answers, pauses, is killed, comes back at the same place, and leaves nothing', {
      retry: 1,
    }, async () => {
      const server = await start()
      expect(server).toMatchObject({ engine: name, version: expect.stringMatching(/^\d+\.\d/) })
      expect(await ask(server.url)).toEqual(says)

      const first = server.pid
      await server.kill()
      expect(isAlive(first)).toBe(false)
      expect(server.pid).toBeUndefined()
      await expect(ask(server.url)).rejects.toThrow()

      await server.restart()
      expect(server.pid).not.toBe(first)
      expect(await ask(server.url)).toEqual(says)

      await server.pause()
      const answer = ask(server.url)
      expect(await Promise.race([answer, within(150)])).toBe('nothing yet')
      await server.resume()
      expect(await answer).toEqual(says)

      const { pid, folder } = server
      await server.stop()
      await server.stop()
      expect(isAlive(pid)).toBe(false)
      expect(existsSync(folder)).toBe(false)
      await expect(server.restart()).rejects.toThrow('was stopped')
    })
  })
}

await describeWhere('redis', 'several redis', () => {
  it('keep their data over a SIGKILL where they are told to, and only there', async () => {
    const [kept, lost] = await Promise.all([startRedis({ persistence: 'aof' }), startRedis()])
    for (const server of [kept, lost]) {
      await server.command('SET', 'k', 'v')
      await server.restart()
    }
    expect(await kept.command('GET', 'k')).toBe('v')
    expect(await lost.command('GET', 'k')).toBeNull()
    await Promise.all([kept.stop(), lost.stop()])
  })

  it('replicate', async () => {
    const primary = await startRedis({ password: 'p' })
    const replica = await startRedisReplica(primary, { password: 'p' })
    await primary.command('SET', 'k', 'v')
    expect(await primary.command('WAIT', '1', '5000')).toBe(1)
    expect(await replica.command('GET', 'k')).toBe('v')
    await expect(replica.command('SET', 'k', 'w')).rejects.toThrow('READONLY')
    await Promise.all([primary.stop(), replica.stop()])
  })

  it('form a cluster in which a slot moves', async () => {
    const cluster = await startRedisCluster({ password: 'p' })
    const client = createCluster({
      rootNodes: cluster.urls.map((url) => ({ url })),
      defaults: { password: 'p' },
    })
    client.on('error', () => {})
    await client.connect()
    await client.set('{a}1', 'v')
    const owner = await cluster.nodeOf('{a}2')
    expect(await owner.command('CLUSTER', 'KEYSLOT', 'x{a}y')).toBe(cluster.slotOf('{a}'))
    expect(await owner.command('EXISTS', '{a}1')).toBe(1)
    const other = cluster.nodes.find((node) => node !== owner)
    const move = await cluster.beginSlotMove(cluster.slotOf('a'), other)
    await expect(owner.command('GET', '{a}gone')).rejects.toThrow(`ASK ${cluster.slotOf('a')}`)
    await move.finish()
    await expect(owner.command('GET', '{a}1')).rejects.toThrow('MOVED')
    expect(await client.get('{a}1')).toBe('v')
    expect(await cluster.nodeOf('a')).toBe(other)
    client.destroy()
    await cluster.stop()
  })

  it('fail over under Sentinel, when asked and when the primary dies', async () => {
    const group = await startRedisSentinel({ replicas: 2 })
    const client = createSentinel({
      name: group.name,
      sentinelRootNodes: group.sentinels.map(({ host, port }) => ({ host, port })),
    })
    client.on('error', () => {})
    await client.connect()
    await client.set('k', 'v')
    const first = await group.primary()
    for (const replica of await group.replicas())
      await expect.poll(() => replica.command('GET', 'k'), { timeout: 15_000 }).toBe('v')
    const second = await group.failover()
    expect(second).not.toBe(first)
    await expect.poll(() => client.get('k').catch(() => 'not yet'), { timeout: 15_000 }).toBe('v')
    await group.settle()
    await second.kill()
    expect(await group.failedOver(second)).not.toBe(second)
    await second.restart()
    await group.settle()
    expect(await second.command('GET', 'k')).toBe('v')
    await expect.poll(() => client.get('k').catch(() => 'not yet'), { timeout: 15_000 }).toBe('v')
    await client.destroy()
    await group.stop()
  })
})

await describeWhere('postgres', 'a PostgreSQL and its replica', () => {
  it('lose what the replica did not receive, and only that, by a promotion', async () => {
    const primary = await startPostgres()
    const replica = await primary.createReplica()
    await primary.query('CREATE TABLE t (x int)')
    await primary.query('INSERT INTO t VALUES (1)')
    await replica.caughtUp()
    await replica.pauseReplay()
    await primary.query('INSERT INTO t VALUES (2)')
    expect(await replica.query('SELECT x FROM t')).toEqual([{ x: 1 }])
    await replica.resumeReplay()
    await replica.caughtUp()
    await replica.disconnect()
    await primary.query('INSERT INTO t VALUES (3)')
    await replica.reconnect()
    await replica.disconnect()
    await primary.query('INSERT INTO t VALUES (4)')
    await primary.kill()
    await replica.promote()
    expect(await replica.query('SELECT x FROM t ORDER BY x')).toEqual([{ x: 1 }, { x: 2 }, { x: 3 }])
    await replica.query('INSERT INTO t VALUES (5)')
    await Promise.all([primary.stop(), replica.stop()])
  })

  it('keep what was committed over a SIGKILL, and drop a database that is in use', async () => {
    const server = await startPostgres({ durable: true, settings: { log_min_messages: 'info' } })
    expect(await server.query('SHOW fsync')).toEqual([{ fsync: 'on' }])
    const database = await server.createDatabase()
    const client = new pg.Client(database.url)
    client.on('error', () => {})
    await client.connect()
    await client.query('CREATE TABLE t AS SELECT 7 AS x')
    await server.restart()
    expect(await server.query('SELECT x FROM t', [], database.name)).toEqual([{ x: 7 }])
    const holder = new pg.Client(database.url)
    holder.on('error', () => {})
    await holder.connect()
    await database.drop()
    await expect(server.query('SELECT 1', [], database.name)).rejects.toThrow('does not exist')
    await expect(server.createDatabase('x"; DROP')).rejects.toThrow('plain name')
    await server.stop()
  })
})

await describeWhere('mariadb', 'a MariaDB', () => {
  it('takes settings and drops a database whose rows are locked', async () => {
    const server = await startMariadb({ settings: { 'innodb-lock-wait-timeout': '3' }, durable: true })
    expect(
      await server.query('SELECT @@innodb_lock_wait_timeout AS s, @@innodb_flush_log_at_trx_commit AS f'),
    ).toEqual([{ s: 3, f: 1 }])
    const database = await server.createDatabase()
    const connection = await mysql.createConnection(database.url)
    connection.on('error', () => {})
    await connection.query('CREATE TABLE t (x int PRIMARY KEY)')
    await connection.query('BEGIN')
    await connection.query('INSERT INTO t VALUES (1)')
    await database.drop()
    expect(await server.query('SHOW DATABASES LIKE ?', [database.name])).toEqual([])
    await server.stop()
  })
})

await describeWhere('rabbitmq', 'a RabbitMQ', () => {
  it('listens for clients and nobody else, and keeps over a SIGKILL what it has confirmed', async () => {
    const server = await startRabbitmq({ config: { channel_max: '7' } })
    const first = await amqp.connect(server.url)
    first.on('error', () => {})
    const channel = await first.createConfirmChannel()
    await channel.assertQueue('kept', { durable: true })
    channel.sendToQueue('kept', Buffer.from('hello'), { persistent: true })
    await channel.waitForConfirms()
    await server.declared('kept')
    expect(listenersOf([server.pid, ...descendantsOf(server.pid)])).toEqual([server.port])

    await server.restart()
    const second = await amqp.connect(server.url)
    const message = await (await second.createChannel()).get('kept')
    expect(message.content.toString()).toBe('hello')
    expect(second.connection.channelMax).toBe(7)
    await second.close()
    await server.stop()
  })
})

await describeWhere('nats', 'a NATS', () => {
  it('keeps over a SIGKILL what its JetStream has acknowledged', async () => {
    const server = await startNats()
    const first = await connectNats({ servers: server.url, reconnect: false })
    await (await jetstreamManager(first)).streams.add({ name: 'KEPT', subjects: ['kept.>'] })
    await jetstream(first).publish('kept.1', 'hello')
    await server.restart()
    const second = await connectNats({ servers: server.url, reconnect: false })
    const message = await (await jetstreamManager(second)).streams.getMessage('KEPT', { seq: 1 })
    expect(message.string()).toBe('hello')
    await second.close()
    await server.stop()
  })
})

await describeWhere(['postgres', 'pgbouncer'], 'PgBouncer', () => {
  it('lets clients share a connection by the transaction', async () => {
    const upstream = await startPostgres({ password: "it's p@ss" })
    const database = await upstream.createDatabase()
    const pooler = await startPgbouncer({ upstream: database.url, settings: { default_pool_size: '1' } })
    const clients = [new pg.Client(pooler.url), new pg.Client(pooler.url)]
    const backends = []
    for (const client of clients) {
      await client.connect()
      const { rows } = await client.query('SELECT pg_backend_pid() AS pid, current_database() AS name')
      expect(rows[0].name).toBe(database.name)
      backends.push(rows[0].pid)
    }
    expect(backends[0]).toBe(backends[1])
    await Promise.all(clients.map((client) => client.end()))
    await pooler.stop()
    await upstream.stop()
  })
})

async function askRedis(url) {
  const client = createClient({ url, socket: { reconnectStrategy: false } })
  client.on('error', () => {})
  await client.connect()
  try {
    return await client.ping()
  } finally {
    client.destroy()
  }
}

async function askPostgres(url) {
  const client = new pg.Client(url)
  client.on('error', () => {})
  await client.connect()
  const { rows } = await client.query('SELECT 1 AS one')
  await client.end()
  return rows[0].one
}

async function askMariadb(url) {
  const connection = await mysql.createConnection(url)
  const [rows] = await connection.query('SELECT 1 AS one')
  await connection.end()
  return rows[0].one
}

async function askRabbitmq(url) {
  const connection = await amqp.connect(url)
  connection.on('error', () => {})
  const channel = await connection.createChannel()
  const { messageCount } = await channel.assertQueue('', { exclusive: true })
  await connection.close()
  return messageCount
}

async function askNats(url) {
  const connection = await connectNats({ servers: url, reconnect: false })
  connection.subscribe('ping', { max: 1, callback: (_, message) => message.respond('pong') })
  const reply = await connection.request('ping', '', { timeout: 30_000 })
  await connection.close()
  return reply.string()
}

function askHttp(path) {
  return async (url) => (await fetch(url + path, { headers: { connection: 'close' } })).text()
}

/** The TCP ports at which these processes listen, from Linux's own tables. */
function listenersOf(pids) {
  const sockets = new Set(
    pids.flatMap((pid) =>
      readdirSync(`/proc/${pid}/fd`).map((fd) => {
        try {
          return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]
        } catch {
          return undefined
        }
      }),
    ),
  )
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A' && sockets.has(fields[9]))
      .map((fields) => Number.parseInt(fields[1].split(':')[1], 16)),
  )
}

function within(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms, 'nothing yet'))
}
