import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cluster, Redis } from 'ioredis'
import mysql from 'mysql2/promise'
import pg from 'pg'
import type { RedisEndpoint, SqlEndpoint } from '../../../../test-servers/index.mjs'
import type { OperationCatalog, OperationStore } from '../../src/core/store.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'
import { encryptedStore } from '../../src/stores/encrypted/index.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { shardedStore } from '../../src/stores/sharded/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { tieredStore } from '../../src/stores/tiered/index.ts'

/** What tokens are kept in by the suite. */
export type TokenStore = OperationStore & OperationCatalog

/** Two connections to one place that nobody else uses. */
export interface TokenRig {
  readonly stores: readonly [TokenStore, TokenStore]
  /** All that is kept there, as whoever has the server could read it. */
  dump(): Promise<string>
  close(): Promise<void>
}

/** Opens a place. */
export type OpenRig = () => Promise<TokenRig>

const somewhere = (): string => `t${randomBytes(5).toString('hex')}`

async function rig(
  connect: () => { readonly store: TokenStore; end(): unknown },
  dump: TokenRig['dump'],
  after: () => unknown = () => undefined,
): Promise<TokenRig> {
  const [a, b] = [connect(), connect()]
  await a.store.migrate()
  return {
    stores: [a.store, b.store],
    dump,
    async close() {
      await Promise.all([a.store.close(), b.store.close()])
      await Promise.all([a.end(), b.end()])
      await after()
    },
  }
}

export const inMemory: OpenRig = () => {
  const store = memoryStore()
  const read = async () => JSON.stringify((await store.list({ limit: 1000 })).records, bytesAsText)
  return rig(() => ({ store, end: () => undefined }), read)
}

export const inSqlite: OpenRig = () => {
  const folder = mkdtempSync(join(tmpdir(), 'onceward-tokens-'))
  const path = join(folder, 'tokens.sqlite')
  const dump = async () => {
    const handle = openSqlite(path)
    const tables = handle.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table'`).all()
    const named = tables as readonly { readonly name: string }[]
    const rows = named.map(({ name }) => handle.prepare(`SELECT * FROM "${name}"`).all())
    handle.close()
    return JSON.stringify(rows, bytesAsText)
  }
  return rig(
    () => ({ store: sqliteStore(path), end: () => undefined }),
    dump,
    () => rmSync(folder, { recursive: true }),
  )
}

export function inRedis({ url }: RedisEndpoint): OpenRig {
  return async () => {
    const prefix = somewhere()
    const reader = new Redis(url)
    const connect = () => {
      const client = new Redis(url)
      return { store: redisStore(client, { prefix }), end: () => client.disconnect() }
    }
    return rig(
      connect,
      () => dumpRedis(reader, prefix),
      () => reader.disconnect(),
    )
  }
}

export function inCluster(nodes: () => readonly { readonly host: string; readonly port: number }[]): OpenRig {
  return async () => {
    const prefix = somewhere()
    const readers = nodes().map(({ host, port }) => new Redis(port, host))
    const connect = () => {
      const client = new Cluster(nodes().map(({ host, port }) => ({ host, port })))
      return { store: redisStore(client, { prefix }), end: () => client.disconnect() }
    }
    const dump = async () => (await Promise.all(readers.map((one) => dumpRedis(one, prefix)))).join('\n')
    return rig(connect, dump, () => readers.map((one) => one.disconnect()))
  }
}

export function inPostgres(
  server: SqlEndpoint,
  over: (store: TokenStore, schema: string) => { readonly store: TokenStore; end(): unknown } = (store) => ({
    store,
    end: () => undefined,
  }),
): OpenRig {
  return async () => {
    const database = await server.createDatabase()
    const reader = new pg.Pool({ connectionString: database.url, max: 1 })
    const connect = () => {
      const pool = new pg.Pool({ connectionString: database.url, max: 4 })
      const { store, end } = over(postgresStore(pool), database.name)
      return { store, end: () => Promise.all([end(), pool.end()]) }
    }
    const dump = async () => {
      const { rows } = await reader.query(
        `SELECT format('SELECT t::text AS line FROM %I.%I t', schemaname, tablename) AS read FROM pg_tables
          WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
      )
      const tables = await Promise.all(rows.map(({ read }: { read: string }) => reader.query(read)))
      const lines = tables.flatMap((table) => table.rows.map(({ line }: { line: string }) => line))
      // Bytes are written in hex there.
      const inHex = lines.flatMap((line) => line.match(/\\x[\da-f]+/g) ?? [])
      return [...lines, ...inHex.map((hex) => Buffer.from(hex.slice(2), 'hex').toString('latin1'))].join('\n')
    }
    return rig(connect, dump, async () => {
      await reader.end()
      await database.drop()
    })
  }
}

export function inMariadb(server: SqlEndpoint): OpenRig {
  return async () => {
    const database = await server.createDatabase()
    const reader = mysql.createPool({ uri: database.url, connectionLimit: 1 })
    const connect = () => {
      const pool = mysql.createPool({ uri: database.url, connectionLimit: 4 })
      return { store: mysqlStore(pool), end: () => pool.end() }
    }
    const dump = async () => {
      const [tables] = await reader.query({ sql: 'SHOW TABLES', rowsAsArray: true })
      const rows = await Promise.all(
        (tables as string[][]).map(async ([table]) => (await reader.query(`SELECT * FROM ${table}`))[0]),
      )
      return JSON.stringify(rows, bytesAsText)
    }
    return rig(connect, dump, async () => {
      await reader.end()
      await database.drop()
    })
  }
}

/** PostgreSQL with Redis before it. */
export const inTiers = (sql: SqlEndpoint, { url }: RedisEndpoint): OpenRig =>
  inPostgres(sql, (store, prefix) => {
    const cache = new Redis(url)
    return { store: tieredStore({ cache, store, prefix }), end: () => cache.disconnect() }
  })

/** Three places of the same kind. */
export const inShards =
  (open: OpenRig): OpenRig =>
  () =>
    composed([open(), open(), open()], (stores) =>
      shardedStore(Object.fromEntries(stores.map((store, index) => [`shard-${index}`, store]))),
    )

/** Everything sealed. */
export const sealed =
  (open: OpenRig): OpenRig =>
  () =>
    composed([open()], ([store]) =>
      encryptedStore(store as TokenStore, { keys: [{ id: 'k1', key: Buffer.alloc(32, 7) }] }),
    )

async function composed(
  opening: readonly Promise<TokenRig>[],
  compose: (stores: readonly TokenStore[]) => TokenStore,
): Promise<TokenRig> {
  const parts = await Promise.all(opening)
  return {
    stores: [compose(parts.map(({ stores: [a] }) => a)), compose(parts.map(({ stores: [, b] }) => b))],
    dump: async () => (await Promise.all(parts.map((part) => part.dump()))).join('\n'),
    async close() {
      await Promise.all(parts.map((part) => part.close()))
    },
  }
}

async function dumpRedis(client: Redis, prefix: string): Promise<string> {
  const keys = await client.keys(`*${prefix}*`)
  const held = await Promise.all(keys.map(async (key) => [key, await contentsOf(client, key)]))
  return JSON.stringify(held, bytesAsText)
}

async function contentsOf(client: Redis, key: string): Promise<unknown> {
  const type = await client.type(key)
  switch (type) {
    case 'string':
      return client.getBuffer(key)
    case 'hash':
      return client.hgetallBuffer(key)
    case 'zset':
      return client.zrangeBuffer(key, '0', '-1')
    case 'list':
      return client.lrangeBuffer(key, 0, -1)
    case 'none':
      return 'gone'
    default:
      throw new Error(`nobody has thought of ${type}`)
  }
}

/** Bytes read as text, one character each. */
function bytesAsText(_: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1')
  const bytes = value as { readonly type?: string; readonly data?: readonly number[] } | null
  return bytes?.type === 'Buffer' ? Buffer.from(bytes.data ?? []).toString('latin1') : value
}
