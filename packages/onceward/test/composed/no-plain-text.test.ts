import { Redis } from 'ioredis'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { expect, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { createOnce, finalFailure, type OnceOptions } from '../../src/core/index.ts'
import type { OperationCatalog, OperationStore } from '../../src/core/store.ts'
import { encryptedStore } from '../../src/stores/encrypted/index.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { somewhere } from './composed-stores.ts'

/** What a transaction of the store hands to its work. */
interface Tx {
  query(sql: string): Promise<unknown>
}

/** A store whose bytes can be read as whoever has the server could. */
interface Opened {
  readonly store: OperationStore & OperationCatalog
  /** Begins a transaction of the caller; nothing where the store joins none. */
  begin?(): Promise<{ readonly tx: Tx; commit(): Promise<void> }>
  dump(): Promise<string>
  close(): Promise<void>
}

/** How what is secret is kept out of the store. */
const WAYS: readonly {
  readonly name: string
  wrap<S extends OperationStore>(store: S): S
  readonly options: Partial<OnceOptions>
}[] = [
  {
    name: 'sealed',
    wrap: (store) => encryptedStore(store, { keys: [{ id: 'k1', key: Buffer.alloc(32, 7) }] }),
    options: {},
  },
  {
    name: 'redacted',
    wrap: (store) => store,
    options: { redact: (_, { kind }) => (kind === 'error' ? new Error('withheld') : 'withheld') },
  },
]

/** Sends a canary down every path on which something is stored. */
async function sendCanaries({ store, begin }: Opened, options: Partial<OnceOptions>): Promise<void> {
  const once = createOnce({ store, scope: 'shop', cache: false, maxValueBytes: 5000, ...options })
  const settled = (work: Promise<unknown>) => work.catch(() => undefined)
  const canary = (what: string) => Object.assign(new Error(`CANARY ${what}`), { code: 'CANARY' })
  const throws = (error: unknown) => (): Promise<never> => Promise.reject(error)
  await once.run({ key: 'value', input: 'CANARY input' }, () => ({ card: 'CANARY value' }))
  await settled(once.run({ key: 'failure' }, throws(finalFailure(canary('failure')))))
  await settled(once.run({ key: 'stored', onError: 'store' }, throws(canary('stored'))))
  await settled(once.run({ key: 'held' }, throws(canary('held'))))
  await settled(once.run({ key: 'released', onError: 'release' }, throws(canary('released'))))
  await settled(once.run({ key: 'large' }, () => 'CANARY'.repeat(1000)))
  await settled(once.run({ key: 'odd' }, () => ({ CANARY: () => 'a function' })))
  await settled(
    once.run({ key: 'step', onError: 'release' }, async (op) => {
      await op.step('charge', () => 'CANARY step')
      throw canary('after a step')
    }),
  )
  const reconcile = () => ({ outcome: 'done', value: 'CANARY reconciled' }) as const
  await settled(once.run({ key: 'reconciled', reconcile }, throws(canary('to be reconciled'))))
  await settled(once.run({ key: 'reconciled', reconcile }, () => 'not run'))
  if (begin === undefined) return
  await once.transaction({ key: 'transaction', input: 'CANARY input' }, (_: Tx) =>
    Promise.resolve('CANARY value'),
  )
  await settled(
    once.transaction({ key: 'failed transaction' }, (_: Tx) => throws(finalFailure(canary('failed')))()),
  )
  const { tx, commit } = await begin()
  await once.within(tx, { key: 'within' }, () => Promise.resolve({ card: 'CANARY within' }))
  await commit()
}

function suite(open: () => Promise<Opened>): void {
  it.each(WAYS)('shows nothing of what is $name, whichever way it went in', async ({ wrap, options }) => {
    const opened = await open()
    try {
      await opened.store.migrate()
      await sendCanaries({ ...opened, store: wrap(opened.store) }, options)
      const dump = await opened.dump()
      expect(dump, 'it is the right place').toContain('shop')
      for (const form of ['utf8', 'hex', 'base64', 'base64url'] as const)
        expect(dump.toLowerCase()).not.toContain(Buffer.from('CANARY').toString(form).toLowerCase())
    } finally {
      await opened.close()
    }
  })

  it('shows all of it otherwise: the search is one that finds', async () => {
    const opened = await open()
    try {
      await opened.store.migrate()
      await sendCanaries(opened, {})
      const dump = Buffer.from(await opened.dump()).toString()
      const found = ['utf8', 'hex', 'base64'] as const
      expect(
        found.some((form) => dump.toLowerCase().includes(Buffer.from('CANARY').toString(form).toLowerCase())),
      ).toBe(true)
    } finally {
      await opened.close()
    }
  })
}

await describeWith('redis', 'a store on Redis', ({ redis }) => {
  suite(async () => {
    const client = new Redis(redis.url)
    const prefix = somewhere()
    const store = redisStore(client, { prefix })
    return {
      store,
      async dump() {
        const keys = await client.keys(`*${prefix}*`)
        const held = await Promise.all(
          keys.map(async (key) => [key, await client.type(key), await contentsOf(client, key)]),
        )
        return JSON.stringify(held)
      },
      async close() {
        await store.close()
        client.disconnect()
      },
    }
  })
})

async function contentsOf(client: Redis, key: string): Promise<unknown> {
  switch (await client.type(key)) {
    case 'string':
      return client.get(key)
    case 'hash':
      return client.hgetall(key)
    case 'zset':
      return client.zrange(key, '0', '-1')
    case 'list':
      return client.lrange(key, 0, -1)
    default:
      throw new Error(`nobody has thought of ${key}`)
  }
}

await describeWith('postgres', 'a store on PostgreSQL', ({ postgres }) => {
  suite(async () => {
    const database = await postgres.createDatabase()
    const pool = new pg.Pool({ connectionString: database.url })
    const store = postgresStore(pool)
    return {
      store,
      async begin() {
        const tx = await pool.connect()
        await tx.query('BEGIN')
        const commit = async () => {
          await tx.query('COMMIT')
          tx.release()
        }
        return { tx, commit }
      },
      async dump() {
        const { rows } = await pool.query(
          `SELECT format('SELECT t::text AS line FROM %I.%I t', schemaname, tablename) AS read FROM pg_tables
            WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
        )
        const tables = await Promise.all(rows.map(({ read }: { read: string }) => pool.query(read)))
        return JSON.stringify(tables.map((table) => table.rows))
      },
      async close() {
        await store.close()
        await pool.end()
        await database.drop()
      },
    }
  })
})

await describeWith('mariadb', 'a store on MariaDB', ({ mariadb }) => {
  suite(async () => {
    const database = await mariadb.createDatabase()
    const pool = mysql.createPool({ uri: database.url })
    const store = mysqlStore(pool)
    return {
      store,
      async begin() {
        const tx = await pool.getConnection()
        await tx.beginTransaction()
        const commit = async () => {
          await tx.commit()
          tx.release()
        }
        return { tx, commit }
      },
      async dump() {
        const [tables] = await pool.query({ sql: 'SHOW TABLES', rowsAsArray: true })
        const rows = await Promise.all(
          (tables as string[][]).map(async ([table]) => (await pool.query(`SELECT * FROM ${table}`))[0]),
        )
        const asText = (_: string, value: unknown) =>
          (value as { type?: string })?.type === 'Buffer'
            ? Buffer.from((value as { data: number[] }).data).toString('latin1')
            : value
        return JSON.stringify(rows, asText)
      },
      async close() {
        await store.close()
        await pool.end()
        await database.drop()
      },
    }
  })
})
