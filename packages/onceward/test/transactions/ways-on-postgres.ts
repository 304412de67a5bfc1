import 'reflect-metadata'
import { EntitySchema as MikroSchema } from '@mikro-orm/core'
import { MikroORM } from '@mikro-orm/postgresql'
import { sql as drizzleSql } from 'drizzle-orm'
import { drizzle as drizzlePg } from 'drizzle-orm/node-postgres'
import { drizzle as drizzlePostgresJs } from 'drizzle-orm/postgres-js'
import knex, { type Knex } from 'knex'
import { CamelCasePlugin, Kysely, PostgresDialect, type Transaction } from 'kysely'
import pg from 'pg'
import postgres from 'postgres'
import { Sequelize, type Transaction as SequelizeTransaction } from 'sequelize'
import { DataSource, type EntityManager, EntitySchema, type QueryRunner } from 'typeorm'
import { prismaWay } from './prisma-way.ts'
import { type Way, way } from './way.ts'

/** Every value comes as something else than usual. */
const ODD_TYPES = { getTypeParser: () => (value: string) => ({ odd: value }) }

const byPg = way<pg.PoolClient>('pg', async (url) => {
  const pool = new pg.Pool({ connectionString: url, types: ODD_TYPES })
  const idle = await pool.connect()
  return {
    async transaction(work) {
      const client = await pool.connect()
      try {
        await client.query('BEGIN')
        const value = await work(client)
        await client.query('COMMIT')
        return value
      } catch (error) {
        await client.query('ROLLBACK')
        throw error
      } finally {
        client.release()
      }
    },
    insert: (client, cart) => client.query('INSERT INTO orders (cart) VALUES ($1)', [cart]),
    roots: [
      { what: 'a pool', handle: pool, mend: /pool\.connect\(\).*BEGIN/ },
      { what: 'a client without BEGIN', handle: idle, mend: /BEGIN/ },
    ],
    async close() {
      idle.release()
      await pool.end()
    },
  }
})

const byPostgres = way<postgres.TransactionSql>('postgres', async (url) => {
  const sql = postgres(url, {
    transform: postgres.camel,
    types: { bigint: postgres.BigInt },
    onnotice: () => {},
  })
  const reserved = await sql.reserve()
  return {
    transaction: async (work) => (await sql.begin((tx) => work(tx))) as never,
    insert: async (tx, cart) => tx`INSERT INTO orders (cart) VALUES (${cart})`,
    roots: [
      { what: 'the root sql', handle: sql, mend: /sql\.begin/ },
      { what: 'a reserved sql without BEGIN', handle: reserved, mend: /BEGIN/ },
    ],
    failsForGood: true,
    async close() {
      reserved.release()
      await sql.end()
    },
  }
})

const byDrizzlePg = way<Parameters<Parameters<ReturnType<typeof drizzlePg>['transaction']>[0]>[0]>(
  'Drizzle over pg',
  async (url) => {
    const pool = new pg.Pool({ connectionString: url })
    const db = drizzlePg({ client: pool, casing: 'snake_case' })
    return {
      transaction: (work) => db.transaction(work),
      insert: (tx, cart) => tx.execute(drizzleSql`INSERT INTO orders (cart) VALUES (${cart})`),
      roots: [{ what: 'the database', handle: db, mend: /db\.transaction/ }],
      close: () => pool.end(),
    }
  },
)

const byDrizzlePostgres = way<
  Parameters<Parameters<ReturnType<typeof drizzlePostgresJs>['transaction']>[0]>[0]
>('Drizzle over postgres', async (url) => {
  const sql = postgres(url, { onnotice: () => {} })
  const db = drizzlePostgresJs(sql)
  return {
    transaction: (work) => db.transaction(work),
    insert: (tx, cart) => tx.execute(drizzleSql`INSERT INTO orders (cart) VALUES (${cart})`),
    roots: [{ what: 'the database', handle: db, mend: /db\.transaction/ }],
    failsForGood: true,
    close: () => sql.end(),
  }
})

interface Tables {
  orders: { cart: string }
}

const byKysely = way<Transaction<Tables>>('Kysely', async (url) => {
  const pool = new pg.Pool({ connectionString: url })
  const db = new Kysely<Tables>({
    dialect: new PostgresDialect({ pool }),
    plugins: [new CamelCasePlugin()],
  })
  return {
    transaction: (work) => db.transaction().execute(work),
    insert: (trx, cart) => trx.insertInto('orders').values({ cart }).execute(),
    roots: [{ what: 'the instance', handle: db, mend: /db\.transaction\(\)\.execute/ }],
    close: () => db.destroy(),
  }
})

const byKnex = way<Knex.Transaction>('Knex', async (url) => {
  const db = knex({
    client: 'pg',
    connection: url,
    pool: { min: 0, max: 10 },
    postProcessResponse: () => 'lost',
    wrapIdentifier: (name, wrap) => wrap(name.toLowerCase()),
  })
  return {
    transaction: (work) => db.transaction(work),
    insert: async (trx, cart) => trx('orders').insert({ cart }),
    roots: [{ what: 'the instance', handle: db, mend: /knex\.transaction/ }],
    close: () => db.destroy(),
  }
})

const Order = new EntitySchema<{ id: number; cart: string }>({
  name: 'orders',
  columns: { id: { type: Number, primary: true, generated: true }, cart: { type: String } },
})

const dataSource = (url: string) => new DataSource({ type: 'postgres', url, entities: [Order] }).initialize()

const byTypeorm = way<EntityManager>('TypeORM (EntityManager)', async (url) => {
  const source = await dataSource(url)
  return {
    transaction: (work) => source.transaction(work),
    insert: (manager, cart) => manager.insert(Order, { cart }),
    roots: [
      { what: 'the data source', handle: source, mend: /dataSource\.transaction/ },
      { what: 'its manager', handle: source.manager, mend: /dataSource\.transaction/ },
    ],
    close: () => source.destroy(),
  }
})

const byTypeormRunner = way<QueryRunner>('TypeORM (QueryRunner)', async (url) => {
  const source = await dataSource(url)
  const idle = source.createQueryRunner()
  return {
    async transaction(work) {
      const runner = source.createQueryRunner()
      await runner.startTransaction()
      try {
        const value = await work(runner)
        await runner.commitTransaction()
        return value
      } catch (error) {
        await runner.rollbackTransaction()
        throw error
      } finally {
        await runner.release()
      }
    },
    insert: (runner, cart) => runner.manager.insert(Order, { cart }),
    roots: [{ what: 'a runner before startTransaction', handle: idle, mend: /startTransaction/ }],
    async close() {
      await idle.release()
      await source.destroy()
    },
  }
})

const MikroOrder = new MikroSchema<{ id: number; cart: string }>({
  name: 'Order',
  tableName: 'orders',
  properties: { id: { type: 'number', primary: true }, cart: { type: 'string' } },
})

type MikroEm = Awaited<ReturnType<typeof MikroORM.init>>['em']

const byMikroOrm = way<MikroEm>('MikroORM', async (url) => {
  const orm = await MikroORM.init({ clientUrl: url, entities: [MikroOrder], allowGlobalContext: true })
  return {
    transaction: (work) => orm.em.transactional((em) => work(em as MikroEm), { clear: true }),
    insert: (em, cart) => em.insert(MikroOrder, { cart } as never),
    roots: [
      { what: 'the root em', handle: orm.em, mend: /em\.transactional/ },
      { what: 'a fork', handle: orm.em.fork(), mend: /em\.transactional/ },
    ],
    close: () => orm.close(),
  }
})

const bySequelize = way<SequelizeTransaction>('Sequelize', async (url) => {
  const sequelize = new Sequelize(url, { logging: false, pool: { max: 25 } })
  return {
    transaction: (work) => sequelize.transaction(work),
    insert: (transaction, cart) =>
      sequelize.query('INSERT INTO orders (cart) VALUES ($1)', { bind: [cart], transaction }),
    roots: [{ what: 'the instance', handle: sequelize, mend: /sequelize\.transaction/ }],
    close: () => sequelize.close(),
  }
})

/** Every package whose transactions can be joined on PostgreSQL. */
export const WAYS_ON_POSTGRES: readonly Way[] = [
  byPg,
  byPostgres,
  byDrizzlePg,
  byDrizzlePostgres,
  byKysely,
  byKnex,
  prismaWay,
  byTypeorm,
  byTypeormRunner,
  byMikroOrm,
  bySequelize,
]
