import pg from 'pg'
import {
  describeWhere,
  type SqlEndpoint,
  sharedPostgres,
  startPgbouncer,
} from '../../../../test-servers/index.mjs'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { onceSuite } from './once-suite.ts'
import { WAYS_ON_POSTGRES } from './ways-on-postgres.ts'

/** One of those that keep the driver's connection, and those that run our statements themselves. */
const TRIED = ['pg', 'Kysely', 'Prisma']

await describeWhere(
  ['postgres', 'pgbouncer'],
  'once.within through PgBouncer in transaction mode',
  async () => {
    const postgres = await sharedPostgres()
    const pooled: SqlEndpoint = {
      ...postgres,
      async createDatabase() {
        const database = await postgres.createDatabase()
        const pooler = await startPgbouncer({ upstream: database.url })
        const drop = async () => {
          await pooler.stop()
          await database.drop()
        }
        return { name: database.name, url: pooler.url, drop, [Symbol.asyncDispose]: drop }
      },
    }
    const ways = WAYS_ON_POSTGRES.filter(({ name }) => TRIED.includes(name))
    onceSuite(pooled, ways, {
      orders: 'CREATE TABLE orders (id serial PRIMARY KEY, cart text NOT NULL)',
      async open(url) {
        const pool = new pg.Pool({ connectionString: url })
        return { store: postgresStore(pool), close: () => pool.end() }
      },
    })
  },
)
