import 'reflect-metadata'
import { sql as drizzleSql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/mysql2'
import knex, { type Knex } from 'knex'
import { CamelCasePlugin, Kysely, MysqlDialect, type Transaction } from 'kysely'
import mysql from 'mysql2'
import mysqlPromise from 'mysql2/promise'
import { Sequelize, type Transaction as SequelizeTransaction } from 'sequelize'
import { DataSource, type EntityManager, EntitySchema } from 'typeorm'
import { type OpenWay, type Way, way } from './way.ts'

/** Every value comes as something else than usual. */
const ODD = {
  rowsAsArray: true,
  nestTables: true,
  namedPlaceholders: true,
  supportBigNumbers: true,
  bigNumberStrings: true,
  typeCast: () => 'odd',
} as const

const byMysql2 = way<mysqlPromise.PoolConnection>('mysql2 (promises)', async (url) => {
  const pool = mysqlPromise.createPool({ uri: url, ...ODD })
  const idle = await pool.getConnection()
  return {
    async transaction(work) {
      const connection = await pool.getConnection()
      try {
        await connection.beginTransaction()
        const value = await work(connection)
        await connection.commit()
        return value
      } catch (error) {
        await connection.rollback()
        throw error
      } finally {
        connection.release()
      }
    },
    insert: (connection, cart) => connection.execute('INSERT INTO orders (cart) VALUES (:cart)', { cart }),
    roots: [
      { what: 'a pool', handle: pool, mend: /getConnection.*beginTransaction/ },
      { what: 'a connection without BEGIN', handle: idle, mend: /BEGIN/ },
    ],
    async close() {
      idle.release()
      await pool.end()
    },
  }
})

const byCallbacks = way<mysql.PoolConnection>('mysql2 (callbacks)', async (url) => {
  const pool = mysql.createPool({ uri: url })
  const connect = () =>
    new Promise<mysql.PoolConnection>((resolve, reject) =>
      pool.getConnection((error, connection) => (error ? reject(error) : resolve(connection))),
    )
  const run = (connection: mysql.PoolConnection, sql: string, values: string[] = []) =>
    new Promise<void>((resolve, reject) =>
      connection.query(sql, values, (error) => (error ? reject(error) : resolve())),
    )
  const idle = await connect()
  return {
    async transaction(work) {
      const connection = await connect()
      try {
        await run(connection, 'START TRANSACTION')
        const value = await work(connection)
        await run(connection, 'COMMIT')
        return value
      } catch (error) {
        await run(connection, 'ROLLBACK')
        throw error
      } finally {
        connection.release()
      }
    },
    insert: (connection, cart) => run(connection, 'INSERT INTO orders (cart) VALUES (?)', [cart]),
    roots: [
      { what: 'a pool', handle: pool, mend: /getConnection.*beginTransaction/ },
      { what: 'a connection without BEGIN', handle: idle, mend: /BEGIN/ },
    ],
    async close() {
      idle.release()
      await new Promise((resolve) => pool.end(resolve))
    },
  }
})

const byDrizzle = way<Parameters<Parameters<ReturnType<typeof drizzle>['transaction']>[0]>[0]>(
  'Drizzle over mysql2',
  async (url) => {
    const pool = mysqlPromise.createPool({ uri: url })
    const db = drizzle({ client: pool })
    return {
      transaction: (work) => db.transaction(work),
      insert: (tx, cart) => tx.execute(drizzleSql`INSERT INTO orders (cart) VALUES (${cart})`),
      roots: [{ what: 'the database', handle: db, mend: /db\.transaction/ }],
      close: () => pool.end(),
    }
  },
)

interface Tables {
  orders: { cart: string }
}

const kyselyOn = (pool: mysql.Pool): OpenWay<Transaction<Tables>> => {
  const db = new Kysely<Tables>({ dialect: new MysqlDialect({ pool }), plugins: [new CamelCasePlugin()] })
  return {
    transaction: (work) => db.transaction().execute(work),
    insert: (trx, cart) => trx.insertInto('orders').values({ cart }).execute(),
    roots: [{ what: 'the instance', handle: db, mend: /db\.transaction\(\)\.execute/ }],
    close: () => db.destroy(),
  }
}

const byKysely = way('Kysely', async (url) => kyselyOn(mysql.createPool({ uri: url })))

/** Kysely writes values into its statements, with an escape that this mode does not know. */
const byKyselyUnescaped = way('Kysely under NO_BACKSLASH_ESCAPES', async (url) => {
  const pool = mysql.createPool({ uri: url })
  pool.on('connection', (connection) => {
    connection.query("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')")
  })
  return kyselyOn(pool)
})

const byKnex = way<Knex.Transaction>('Knex', async (url) => {
  const db = knex({
    client: 'mysql2',
    connection: url,
    pool: { min: 0, max: 25 },
    postProcessResponse: () => 'lost',
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

const byTypeorm = way<EntityManager>('TypeORM', async (url) => {
  const source = await new DataSource({ type: 'mysql', url, entities: [Order], poolSize: 25 }).initialize()
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

const bySequelize = way<SequelizeTransaction>('Sequelize', async (url) => {
  const sequelize = new Sequelize(url, { dialect: 'mysql', logging: false, pool: { max: 25 } })
  return {
    transaction: (work) => sequelize.transaction(work),
    insert: (transaction, cart) =>
      sequelize.query('INSERT INTO orders (cart) VALUES ($1)', { bind: [cart], transaction }),
    roots: [{ what: 'the instance', handle: sequelize, mend: /sequelize\.transaction/ }],
    close: () => sequelize.close(),
  }
})

/** Every package whose transactions can be joined on MySQL and MariaDB, and that can be tried here. */
export const WAYS_ON_MYSQL: readonly Way[] = [
  byMysql2,
  byCallbacks,
  byDrizzle,
  byKysely,
  byKyselyUnescaped,
  byKnex,
  byTypeorm,
  bySequelize,
]
