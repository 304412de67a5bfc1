/** What only real servers and connections can show: clusters, permissions, lost replies, the server's own clock. */
import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { createPool } from 'mysql2/promise'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  describeWhere,
  describeWith,
  faultProxy,
  type RedisCluster,
  type RedisServer,
  startRedis,
  startRedisCluster,
  startRedisReplica,
} from '../../../../test-servers/index.mjs'
import type { OperationStore } from '../../src/core/store.ts'
import { createDedupe } from '../../src/dedupe/index.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { CLUSTER, SINGLE } from '../redis/redis-suite.ts'
import { DEDUPE_CASES } from './dedupe-cases.ts'
import { modelRun } from './dedupe-model.ts'
import { onRedis } from './server-rigs.ts'

const place = () => `d${randomBytes(6).toString('hex')}`

/** By how much the clocks of server and process may differ about what has gone by, in ms. */
const CLOCKS_MS = 15

/** An item comes to be new again when its window is over on the clock of the store. */
async function lapsesByItself(store: OperationStore): Promise<void> {
  for (let windowMs = 300; ; windowMs *= 2) {
    const dedupe = createDedupe({ store, scope: `clock ${windowMs}`, windowMs })
    const startedAt = performance.now()
    const past = () => performance.now() - startedAt
    expect(await dedupe.firstTime('item')).toBe(true)
    const again = await dedupe.firstTime('item')
    // The machine was so slow that the window may be over already.
    if (past() > windowMs - CLOCKS_MS) continue
    expect(again).toBe(false)
    await expect.poll(() => dedupe.firstTime('item'), { interval: 20 }).toBe(true)
    expect(past()).toBeGreaterThan(windowMs - CLOCKS_MS)
    return
  }
}

/** The reply to a mark is lost on the way, once; the connection with it. */
async function survivesLostReply(
  makeStore: (url: string) => { readonly store: OperationStore; close(): Promise<void> },
  server: { readonly url: string; readonly host: string; readonly port: number },
  url: string,
): Promise<void> {
  const proxy = await faultProxy({ target: server })
  const cut = makeStore(proxy.url(url))
  const direct = makeStore(url)
  try {
    const dedupe = createDedupe({ store: cut.store, scope: 'lost', retries: 5 })
    const beside = createDedupe({ store: direct.store, scope: 'lost' })
    expect(await dedupe.firstTime('before')).toBe(true)
    expect(await beside.firstTime('known')).toBe(true)
    proxy.cutOnReply()
    expect(await dedupe.filterNew(['known', 'new'])).toEqual(['new'])
    await proxy.hasFired()
    await proxy.pass()
    expect(await beside.filterNew(['known', 'new', 'newer'])).toEqual(['newer'])
  } finally {
    await cut.close()
    await direct.close()
    await proxy.stop()
  }
}

describe('dedupe on SQLite', () => {
  it('forgets by the clock', async () => {
    const store = sqliteStore(':memory:')
    await lapsesByItself(store)
    await store.close()
  })
})

await describeWith('redis', 'dedupe on Redis', ({ redis }) => {
  const made = (url: string, prefix = shared) => {
    const client = new Redis(url, { maxRetriesPerRequest: 0 })
    client.on('error', () => {})
    const store = redisStore(client, { prefix })
    return {
      store,
      async close() {
        await store.close()
        client.disconnect()
      },
    }
  }
  const shared = place()

  it('forgets by the clock of the server', async () => {
    const { store, close } = made(redis.url)
    await lapsesByItself(store)
    await close()
  })

  it('gets the same answer after a lost reply', () => survivesLostReply(made, redis, redis.url))

  it('keeps one small key for each item, which expires by itself, and says so where something else is there', async () => {
    const prefix = place()
    const { store, close } = made(redis.url, prefix)
    const dedupe = createDedupe({ store, scope: 'keys', windowMs: 60_000 })
    await dedupe.firstTime('only')
    const keys = (await redis.command('KEYS', `${prefix}:{*}:seen:*`)) as string[]
    const client = new Redis(redis.url)
    for (const key of await client.keysBuffer(`${prefix}:{*}:seen:*`)) {
      expect(await client.strlen(key)).toBe(12)
      expect(await client.pttl(key)).toBeGreaterThan(0)
      await client.del(key)
      await client.rpush(key, 'else')
    }
    expect(keys.length).toBeGreaterThan(0)
    await expect(dedupe.firstTime('only')).rejects.toMatchObject({
      code: 'STORE_CORRUPT',
      message: expect.stringContaining('a prefix of its own'),
    })
    client.disconnect()
    await close()
  })
})

await describeWhere('redis', 'dedupe on Redis servers of its own', () => {
  let server: RedisServer
  let cluster: RedisCluster
  beforeAll(async () => {
    server = await startRedis()
    cluster = await startRedisCluster()
  }, 60_000)
  afterAll(async () => {
    await server?.stop()
    await cluster?.stop()
  })

  it('needs no permission beyond the prefix and the commands of the documentation', async () => {
    const prefix = place()
    const commands =
      '+evalsha +eval +time +get +mget +set +msetnx +setrange +unlink +zadd +zrem +zrange +zcount +zscore +zmscore +zscan +lpush +ltrim ' +
      '+lrange +publish +subscribe +unsubscribe +ping +info +hello +auth +select'
    await server.command(
      ...['ACL', 'SETUSER', 'narrow', 'reset', 'on', '>pw', `~${prefix}:*`, `&${prefix}:*`],
      ...commands.split(' '),
    )
    for (const connect of Object.values(SINGLE)) {
      const { client, close } = await connect(server.url.replace('redis://', 'redis://narrow:pw@'))()
      const store = redisStore(client, { prefix })
      const dedupe = createDedupe({ store, scope: place(), sliding: true })
      expect(await dedupe.filterNew(['a', 'b'])).toEqual(['a', 'b'])
      expect(await dedupe.filterNew(['a', 'c'])).toEqual(['c'])
      expect(await dedupe.forget(['a'])).toBe(1)
      expect(await dedupe.purge()).toBe(0)
      await store.close()
      close()
    }
  })

  it('waits for replicas where the store does, and gets the same answer when too few were there', async () => {
    const replica = await startRedisReplica(server)
    const client = new Redis(server.url)
    const prefix = place()
    const waiting = (timeoutMs: number) => {
      const store = redisStore(client, { prefix, wait: { replicas: 1, timeoutMs } })
      return { store, dedupe: createDedupe({ store, scope: 'wait', retries: 0 }) }
    }
    const [{ store, dedupe }, hasty] = [waiting(10_000), waiting(200)]
    expect(await dedupe.firstTime('a')).toBe(true)
    await replica.stop()
    await expect(hasty.dedupe.firstTime('b', { markId: '1' })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringContaining('0 of 1 replicas'),
    })
    const again = await startRedisReplica(server)
    expect(await dedupe.firstTime('b', { markId: '1' })).toBe(true)
    expect(await dedupe.firstTime('b', { markId: '2' })).toBe(false)
    await Promise.all([store.close(), hasty.store.close()])
    client.disconnect()
    await again.stop()
  }, 60_000)

  for (const by of ['node-redis', 'ioredis'] as const) {
    describe(`in a cluster, by ${by}`, { timeout: 60_000 }, () => {
      const open = onRedis(() => CLUSTER[by](cluster.nodes)())
      for (const { rule, run } of DEDUPE_CASES) {
        it(rule, async () => {
          const rig = await open()
          try {
            await run(rig)
          } finally {
            await rig.close()
          }
        })
      }
      it('answers random calls as the model does', () => modelRun(open, { runs: 3 }))
    })
  }
})

await describeWith('postgres', 'dedupe on PostgreSQL', ({ postgres }) => {
  const made = (url: string) => {
    const pool = new pg.Pool({ connectionString: url, max: 4 })
    pool.on('error', () => {})
    const store = postgresStore(pool, { autoMigrate: true })
    return { store, close: async () => void (await Promise.all([store.close(), pool.end()])) }
  }

  it('forgets by the clock of the server, and gets the same answer after a lost reply', async () => {
    const database = await postgres.createDatabase()
    const { store, close } = made(database.url)
    await lapsesByItself(store)
    await close()
    await survivesLostReply(made, postgres, database.url)
    await database.drop()
  })

  it('marks and forgets lists that overlap without a deadlock', { timeout: 60_000 }, async () => {
    const database = await postgres.createDatabase()
    const { store, close } = made(database.url)
    const dedupe = createDedupe({ store, scope: 'overlap', sliding: true })
    // Each call has another two thirds of the items, so that rows lie in the table in no order of their own.
    const part = (salt: number) =>
      Array.from({ length: 2000 }, (_, id) => id).filter((id) => (id * 7 + salt) % 11 > 3)
    const callers = Array.from({ length: 4 }, async (_, caller) => {
      for (let round = 0; round < 6; round++) {
        if ((round + caller) % 3 === 2) await dedupe.forget(part(caller + round))
        else await dedupe.filterNew(part(caller + 3 * round))
      }
    })
    await Promise.all(callers)
    await close()
    const reader = new pg.Client(database.url)
    await reader.connect()
    const { rows } = await reader.query(
      'SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()',
    )
    await reader.end()
    expect(rows).toEqual([{ deadlocks: 0 }])
    await database.drop()
  })
})

await describeWith('mariadb', 'dedupe on MariaDB', ({ mariadb }) => {
  const made = (url: string) => {
    const pool = createPool({ uri: url, connectionLimit: 4 })
    const store = mysqlStore(pool, { autoMigrate: true })
    return {
      store,
      async close() {
        await store.close()
        await pool.end()
      },
    }
  }

  it('forgets by the clock of the server, and gets the same answer after a lost reply', async () => {
    const database = await mariadb.createDatabase()
    const { store, close } = made(database.url)
    await lapsesByItself(store)
    await close()
    await survivesLostReply(made, mariadb, database.url)
    await database.drop()
  })
})
