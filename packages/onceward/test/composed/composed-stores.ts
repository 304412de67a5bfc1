import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import mysql from 'mysql2/promise'
import pg from 'pg'
import type { RedisEndpoint, SqlEndpoint } from '../../../../test-servers/index.mjs'
import type { OperationCatalog, OperationStore } from '../../src/core/store.ts'
import { encryptedStore } from '../../src/stores/encrypted/index.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { type ShardedStoreOptions, shardedStore } from '../../src/stores/sharded/index.ts'

/** What a shard must be able to do. */
export type ShardStore = OperationStore & OperationCatalog

/** A store on a server that a suite may open twice over the same records. */
export interface Connected {
  readonly store: ShardStore
  /** Closes the store and what it was opened on. */
  end(): Promise<void>
}

/** Connects to one place of a server; the same name is the same place. */
export type Connect = (place: string) => Promise<Connected>

/** A name that nobody else uses. */
export const somewhere = (): string => `c${randomBytes(5).toString('hex')}`

/** Places in Redis are key prefixes. */
export const inRedis =
  ({ url }: RedisEndpoint): Connect =>
  async (place) => {
    const client = new Redis(url)
    client.on('error', () => {})
    const store = redisStore(client, { prefix: place })
    return {
      store,
      async end() {
        await store.close()
        client.disconnect()
      },
    }
  }

/** Places in PostgreSQL are schemas of one database. */
export function inPostgres(server: SqlEndpoint): Connect {
  let database: Promise<{ readonly url: string }> | undefined
  return async (schema) => {
    database ??= server.createDatabase()
    const pool = new pg.Pool({ connectionString: (await database).url, max: 8 })
    pool.on('error', () => {})
    const store = postgresStore(pool, { schema })
    return {
      store,
      async end() {
        await store.close()
        await pool.end()
      },
    }
  }
}

/** Places in MariaDB are databases. */
export function inMariadb(server: SqlEndpoint): Connect {
  const databases = new Map<string, ReturnType<SqlEndpoint['createDatabase']>>()
  return async (place) => {
    const database = databases.get(place) ?? server.createDatabase()
    databases.set(place, database)
    const pool = mysql.createPool({ uri: (await database).url, connectionLimit: 8 })
    const store = mysqlStore(pool)
    return {
      store,
      async end() {
        await store.close()
        await pool.end()
      },
    }
  }
}

/** The names of the shards. */
export const SHARDS: readonly string[] = ['a', 'b', 'c']

/** Shards on one server, each in a place of its own. */
export async function sharded(
  connect: Connect,
  place: string,
  options: ShardedStoreOptions = {},
): Promise<Connected> {
  const shards = await Promise.all(
    SHARDS.map(async (name) => [name, await connect(`${place}_${name}`)] as const),
  )
  const stores = Object.fromEntries(shards.map(([name, { store }]) => [name, store]))
  return {
    store: shardedStore(stores, options),
    async end() {
      await Promise.all(shards.map(([, shard]) => shard.end()))
    },
  }
}

/** The same with everything sealed. */
export async function sealed(inner: Promise<Connected>, keys: readonly number[] = [1]): Promise<Connected> {
  const { store, end } = await inner
  const ring = keys.map((byte) => ({ id: `k${byte}`, key: Buffer.alloc(32, byte) }))
  return { store: encryptedStore(store, { keys: ring }), end }
}
