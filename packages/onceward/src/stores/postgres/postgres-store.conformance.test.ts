import pg from 'pg'
import postgres from 'postgres'
import { it } from 'vitest'
import { describeWith, type SqlEndpoint, type TestDatabase } from '../../../../../test-servers/index.mjs'
import {
  catalogConformance,
  type OpenedTransactionalStore,
  registerCases,
  storeConformance,
  type TransactionHarness,
  transactionConformance,
} from '../../testing/index.ts'
import { makePostgresStore, type PostgresStore, type PostgresStoreInternals } from './postgres-store.ts'
import type { PostgresStoreOptions } from './postgres-store-options.ts'

type Tx = object

/** One store on a pool of its own. */
interface Connected {
  readonly store: PostgresStore<Tx>
  end(): Promise<void>
}

/** A driver: how its pools are opened, and how a statement is run on its handles. */
interface Driver {
  /** Cases of the transaction suite that the driver cannot satisfy. */
  readonly skip?: Readonly<Record<string, string>>
  connect(url: string, options: PostgresStoreOptions, internals: PostgresStoreInternals): Connected
  run(tx: Tx, sql: string, values?: unknown[]): Promise<unknown>
  begin(
    url: string,
    isolation: string,
  ): Promise<{ tx: Tx; commit(): Promise<void>; rollback(): Promise<void> }>
}

const nodePostgres: Driver = {
  connect(url, options, internals) {
    const pool = new pg.Pool({ connectionString: url, max: 6 })
    return { store: makePostgresStore(pool, options, internals), end: () => pool.end() }
  },
  run: (tx, sql, values = []) => (tx as pg.PoolClient).query(sql, values),
  async begin(url, isolation) {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query(`BEGIN ISOLATION LEVEL ${isolation}`)
    const end = (how: string) => async () => {
      await client.query(how)
      await client.end()
    }
    return { tx: client, commit: end('COMMIT'), rollback: end('ROLLBACK') }
  },
}

const porsager: Driver = {
  skip: {
    'a statement that fails under a savepoint leaves the transaction usable':
      'postgres rolls the whole transaction back unless the statement is run on the handle of sql.savepoint',
  },
  connect(url, options, internals) {
    const sql = postgres(url, { max: 6, onnotice: () => {} })
    return { store: makePostgresStore(sql, options, internals), end: () => sql.end({ timeout: 1 }) }
  },
  run: (tx, sql, values = []) => (tx as postgres.TransactionSql).unsafe(sql, values as never[]),
  begin: (url, isolation) => {
    const sql = postgres(url, { max: 1, onnotice: () => {} })
    return new Promise((resolve) => {
      const undone = new Error('rolled back')
      let end: (error?: Error) => void = () => {}
      const whole = sql.begin(`isolation level ${isolation}`, async (tx) => {
        await new Promise<void>((done, fail) => {
          end = (error) => (error ? fail(error) : done())
          resolve({
            tx,
            async commit() {
              end()
              await whole
              await sql.end()
            },
            async rollback() {
              end(undone)
              await whole.catch(() => {})
              await sql.end()
            },
          })
        })
      })
    })
  },
}

/** Every case works in a schema of its own, of one database for each suite. */
function harness(
  server: SqlEndpoint,
  driver: Driver,
  internals: PostgresStoreInternals = {},
): TransactionHarness<PostgresStore<Tx>, Tx> {
  let database: Promise<TestDatabase> | undefined
  let schemas = 0
  return {
    capabilities: { durable: true, transactional: 'async', push: true, listing: true, fencing: true },
    unitMs: 800,
    patienceMs: 15_000,
    model: { runs: 3 },
    abilities: ['kill', 'endByHand', 'fail', 'begin', 'conflict'],
    ...(driver.skip ? { skip: driver.skip } : {}),
    async open(): Promise<OpenedTransactionalStore<PostgresStore<Tx>, Tx>> {
      database ??= server.createDatabase()
      const { url } = await database
      const schema = `case_${++schemas}`
      const connected = [0, 1].map(() => driver.connect(url, { schema }, internals))
      const [a, b] = connected as [Connected, Connected]
      const other = new pg.Client({ connectionString: url })
      await other.connect()
      await a.store.migrate()
      await other.query(`CREATE TABLE ${schema}.business (text text)`)
      const insert = `INSERT INTO ${schema}.business VALUES ($1)`
      return {
        stores: [a.store, b.store],
        insert: async (tx, text) => void (await driver.run(tx, insert, [text])),
        rows: async () =>
          (await other.query(`SELECT text FROM ${schema}.business`)).rows.map((row) => row.text),
        outside: () => other,
        async kill(tx) {
          const [row] = (await backendOf(driver, tx)) as [{ pid: number }]
          await other.query('SELECT pg_terminate_backend($1)', [row.pid])
        },
        endByHand: async (tx, how) => void (await driver.run(tx, how)),
        fail: async (tx) => void (await driver.run(tx, 'SELECT 1 / 0')),
        begin: (isolation) => driver.begin(url, isolation),
        conflict: () => Object.assign(new Error('deadlock detected'), { code: '40P01' }),
        async close() {
          await Promise.all(
            connected.map(async (one) => {
              await one.store.close()
              await one.end()
            }),
          )
          await other.end()
        },
      }
    },
  }
}

async function backendOf(driver: Driver, tx: Tx): Promise<unknown> {
  const answer = await driver.run(tx, 'SELECT pg_backend_pid() AS pid')
  return Array.isArray(answer) ? answer : (answer as pg.QueryResult).rows
}

const ways: readonly [name: string, Driver, PostgresStoreInternals?][] = [
  ['pg', nodePostgres],
  ['postgres', porsager],
  ['pg, every call the slow way', nodePostgres, { slowly: true }],
]

for (const [name, driver, internals] of ways) {
  await describeWith('postgres', `the PostgreSQL store on ${name}`, ({ postgres: server }) => {
    const bound = harness(server, driver, internals)
    const { skip: _, ...withoutSkips } = bound
    registerCases(it.concurrent, storeConformance(withoutSkips))
    if (!internals) registerCases(it.concurrent, catalogConformance(withoutSkips))
    registerCases(it.concurrent, transactionConformance(bound))
  })
}
