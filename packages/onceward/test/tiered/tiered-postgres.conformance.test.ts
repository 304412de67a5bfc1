import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import pg from 'pg'
import { it } from 'vitest'
import { describeWith, type TestDatabase } from '../../../../test-servers/index.mjs'
import { type PostgresStore, postgresStore } from '../../src/stores/postgres/index.ts'
import { tieredStore } from '../../src/stores/tiered/index.ts'
import {
  catalogConformance,
  registerCases,
  storeConformance,
  type TransactionHarness,
  transactionConformance,
} from '../../src/testing/index.ts'

await describeWith(['redis', 'postgres'], 'a tiered store of PostgreSQL and Redis', ({ redis, postgres }) => {
  let database: Promise<TestDatabase> | undefined
  let schemas = 0
  const harness: TransactionHarness<PostgresStore<object>, object> = {
    capabilities: { durable: true, transactional: 'async', push: true, listing: true, fencing: true },
    unitMs: 300,
    patienceMs: 15_000,
    model: { runs: 3 },
    async open() {
      database ??= postgres.createDatabase()
      const { url } = await database
      const schema = `case_${++schemas}`
      const prefix = `tiered:${randomBytes(6).toString('hex')}`
      const connect = () => {
        const pool = new pg.Pool({ connectionString: url, max: 8 })
        const cache = new Redis(redis.url)
        const store: PostgresStore<object> = tieredStore({
          cache,
          store: postgresStore(pool, { schema }),
          prefix,
        })
        return { store, end: () => Promise.all([pool.end(), cache.disconnect()]) }
      }
      const [a, b] = [connect(), connect()]
      const other = new pg.Client({ connectionString: url })
      await other.connect()
      await a.store.migrate()
      await other.query(`CREATE TABLE ${schema}.business (text text)`)
      return {
        stores: [a.store, b.store],
        insert: async (tx, text) =>
          void (await (tx as pg.PoolClient).query(`INSERT INTO ${schema}.business VALUES ($1)`, [text])),
        rows: async () =>
          (await other.query(`SELECT text FROM ${schema}.business`)).rows.map((row) => row.text),
        outside: () => other,
        async close() {
          await Promise.all([a.store.close(), b.store.close()])
          await Promise.all([a.end(), b.end()])
          await other.query(`DROP SCHEMA ${schema} CASCADE`)
          await other.end()
        },
      }
    },
  }
  registerCases(it, storeConformance(harness))
  registerCases(it, catalogConformance(harness))
  registerCases(it, transactionConformance(harness))
})
