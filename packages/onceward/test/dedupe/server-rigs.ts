/** The stores on servers. Time goes by where the items lie: their ends are moved. */
import { randomBytes } from 'node:crypto'
import { createPool } from 'mysql2/promise'
import pg from 'pg'
import postgres from 'postgres'
import type { SqlEndpoint } from '../../../../test-servers/index.mjs'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { type PostgresPool, postgresStore } from '../../src/stores/postgres/index.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { type CacheSource, tieredStore } from '../../src/stores/tiered/index.ts'
import type { Connect } from '../redis/redis-suite.ts'
import type { OpenRig } from './dedupe-rig.ts'

/** PostgreSQL over `pg`, or over `postgres`. */
export const onPostgres =
  (server: SqlEndpoint, over: 'pg' | 'postgres'): OpenRig =>
  async () => {
    const database = await server.createDatabase()
    const pool = () => {
      if (over === 'pg') {
        const made = new pg.Pool({ connectionString: database.url, max: 10 })
        return { given: made as PostgresPool, end: () => made.end() }
      }
      const made = postgres(database.url, { max: 10, onnotice: () => {} })
      return { given: made as unknown as PostgresPool, end: () => made.end({ timeout: 5 }) }
    }
    const pools = [pool(), pool()] as const
    const stores = [postgresStore(pools[0].given), postgresStore(pools[1].given)] as const
    await stores[0].migrate()
    const own = new pg.Pool({ connectionString: database.url, max: 1 })
    return {
      stores,
      keepsExpired: true,
      advance: async (ms) =>
        void (await own.query('UPDATE onceward_seen SET expires_at = expires_at - $1::bigint', [ms])),
      async close() {
        for (const store of stores) await store.close()
        await Promise.all([own.end(), ...pools.map((one) => one.end())])
        await database.drop()
      },
    }
  }

/** MySQL or MariaDB. */
export const onMysql =
  (server: SqlEndpoint): OpenRig =>
  async () => {
    const database = await server.createDatabase()
    const pools = [0, 1].map(() => createPool({ uri: database.url, connectionLimit: 10 }))
    const [a, b] = pools as [ReturnType<typeof createPool>, ReturnType<typeof createPool>]
    const stores = [mysqlStore(a), mysqlStore(b)] as const
    await stores[0].migrate()
    return {
      stores,
      keepsExpired: true,
      advance: async (ms) =>
        void (await a.query('UPDATE onceward_seen SET expires_at = expires_at - ?', [ms])),
      async close() {
        for (const store of stores) await store.close()
        await Promise.all(pools.map((pool) => pool.end()))
        await database.drop()
      },
    }
  }

/** Redis, however it is reached. */
export const onRedis =
  (connect: Connect): OpenRig =>
  async () => {
    const prefix = `d${randomBytes(6).toString('hex')}`
    const clients = [await connect(), await connect()] as const
    const stores = [
      redisStore(clients[0].client, { prefix }),
      redisStore(clients[1].client, { prefix }),
    ] as const
    const { connection } = stores[0]
    return {
      stores,
      keepsExpired: false,
      async advance(ms) {
        for (const key of await seenKeys(connection, prefix)) {
          const left = Number(await connection.command(['PTTL', key], { key: key.toString('latin1') }))
          if (left > ms)
            await connection.command(['PEXPIRE', key, String(left - ms)], { key: key.toString('latin1') })
          else await connection.command(['DEL', key], { key: key.toString('latin1') })
        }
      },
      async close() {
        for (const store of stores) await store.close()
        for (const { close } of clients) close()
      },
    }
  }

/** The keys of all items. */
async function seenKeys(
  connection: ReturnType<typeof redisStore>['connection'],
  prefix: string,
): Promise<readonly Buffer[]> {
  const lists = await connection.commandToMasters(['KEYS', `${prefix}:{*}:seen:*`])
  return (lists as readonly (readonly Buffer[])[]).flat()
}

/** A tiered store, whose SQL store decides. */
export const tieredOver =
  (open: OpenRig, cache: () => { readonly source: CacheSource; readonly close: () => void }): OpenRig =>
  async () => {
    const rig = await open()
    const caches = [cache(), cache()] as const
    const stores = [
      tieredStore({ cache: caches[0].source, store: rig.stores[0] }),
      tieredStore({ cache: caches[1].source, store: rig.stores[1] }),
    ] as const
    return {
      ...rig,
      stores,
      async close() {
        for (const store of stores) await store.close()
        for (const { close } of caches) close()
        await rig.close()
      },
    }
  }
