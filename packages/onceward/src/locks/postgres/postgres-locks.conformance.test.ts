import pg from 'pg'
import postgres from 'postgres'
import { it } from 'vitest'
import {
  describeWhere,
  describeWith,
  type SqlEndpoint,
  sharedPostgres,
  startPgbouncer,
  type TestDatabase,
  type TestServer,
} from '../../../../../test-servers/index.mjs'
import type { PostgresPool } from '../../drivers/pg/index.ts'
import { type LockHarness, lockConformance, registerCases } from '../../testing/index.ts'
import { makePostgresLocks, type PostgresLocksInternals } from './postgres-locks.ts'

/** A pool of one of the drivers. */
interface OpenPool {
  readonly pool: PostgresPool
  end(): Promise<void>
}

const nodePostgres = (url: string): OpenPool => {
  const pool = new pg.Pool({ connectionString: url, max: 6 })
  return { pool, end: () => pool.end() }
}

const porsager = (url: string): OpenPool => {
  const pool = postgres(url, { max: 6, onnotice: () => {} })
  return { pool, end: () => pool.end({ timeout: 1 }) }
}

/** Every case works in a schema of its own, of one database for each suite. */
function harness(
  server: () => Promise<SqlEndpoint>,
  connect: (url: string) => OpenPool,
  internals: PostgresLocksInternals = {},
  via: (url: string) => Promise<string> = async (url) => url,
): LockHarness {
  let database: Promise<TestDatabase> | undefined
  let schemas = 0
  return {
    capabilities: {
      fencing: true,
      fifo: true,
      push: true,
      shared: true,
      marks: true,
      grantsPlaces: true,
      durable: true,
    },
    unitMs: 1500,
    model: { runs: 5 },
    async open() {
      database ??= server().then((one) => one.createDatabase())
      const url = await via((await database).url)
      const schema = `case_${++schemas}`
      const pools = [connect(url), connect(url)] as const
      const [a, b] = pools.map(({ pool }) => makePostgresLocks(pool, { schema }, internals))
      if (!a || !b) throw new Error('there are two pools')
      await a.migrate()
      return {
        backends: [a, b],
        async close() {
          await Promise.all([a.close(), b.close()])
          await Promise.all(pools.map((one) => one.end()))
        },
      }
    },
  }
}

const ways: readonly [name: string, connect: (url: string) => OpenPool, PostgresLocksInternals?][] = [
  ['pg', nodePostgres],
  ['postgres', porsager],
  ['pg, every call by the rules', nodePostgres, { slowly: true }],
]

for (const [name, connect, internals] of ways) {
  await describeWith('postgres', `locks in PostgreSQL on ${name}`, ({ postgres: server }) => {
    registerCases(it.concurrent, lockConformance(harness(async () => server, connect, internals)))
  })
}

await describeWhere(
  ['postgres', 'pgbouncer'],
  'locks in PostgreSQL behind PgBouncer in transaction mode',
  () => {
    let pooler: Promise<TestServer> | undefined
    registerCases(
      it.concurrent,
      lockConformance(
        harness(sharedPostgres, nodePostgres, {}, async (upstream) => {
          pooler ??= startPgbouncer({ upstream })
          return (await pooler).url
        }),
      ),
    )
    it('is stopped', async () => void (await (await pooler)?.stop()))
  },
)
