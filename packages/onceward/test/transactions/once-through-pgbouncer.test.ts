import pg from 'pg'
import { describeWhere, sharedPostgres, startPgbouncer } from '../../../../test-servers/index.mjs'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { onceSuite, type SuiteServer } from './once-suite.ts'
import { WAYS_ON_POSTGRES } from './ways-on-postgres.ts'

/** One of those that keep the driver's connection, and those that run our statements themselves. */
const TRIED = ['pg', 'Kysely', 'Prisma']

/** Databases behind a pooler of their own; what is looked up is looked up past it. */
const pooled: SuiteServer = {
  query: async (...query) => (await sharedPostgres()).query(...query),
  async createDatabase() {
    const database = await (await sharedPostgres()).createDatabase()
    const pooler = await startPgbouncer({ upstream: database.url })
    const drop = async () => {
      await pooler.stop()
      await database.drop()
    }
    return { name: database.name, url: pooler.url, drop, [Symbol.asyncDispose]: drop }
  },
}

await describeWhere(['postgres', 'pgbouncer'], 'once.within through PgBouncer in transaction mode', () => {
  const ways = WAYS_ON_POSTGRES.filter(({ name }) => TRIED.includes(name))
  onceSuite(pooled, ways, {
    orders: 'CREATE TABLE orders (id serial PRIMARY KEY, cart text NOT NULL)',
    async open(url) {
      const pool = new pg.Pool({ connectionString: url })
      return { store: postgresStore(pool), close: () => pool.end() }
    },
  })
})
