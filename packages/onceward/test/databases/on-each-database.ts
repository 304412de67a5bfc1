/** Databases of every kind for suites of what is kept in SQL: real servers, a database of its own for each rig. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPool, type Pool as MysqlPool } from 'mysql2/promise'
import pg from 'pg'
import postgres from 'postgres'
import { describe } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { type DatabaseHandle, openDatabase, type SqlDatabase } from '../../src/drivers/database/index.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'

/** A database that nobody else uses. */
export interface DatabaseRig {
  readonly dialect: SqlDatabase['dialect']
  /** A way to it of its own each time: a pool, or on SQLite the path. They are closed with the rig. */
  open(): DatabaseHandle
  /** Runs statements of a test by itself; answers the rows of the last. */
  sql(text: string): Promise<readonly Readonly<Record<string, unknown>>[]>
  /** Runs `body` in a transaction as users begin it: committed at its end, rolled back when it throws. */
  transact<T>(body: (tx: UserTransaction) => T | Promise<T>): Promise<T>
  close(): Promise<void>
}

/** A transaction of the user's own. */
export interface UserTransaction {
  /** The driver's own handle. */
  readonly handle: object
  sql(text: string): Promise<unknown>
}

/** Binds a suite to SQLite, PostgreSQL (over `pg` and over `postgres`) and MariaDB. The schema is there. */
export async function onEachDatabase(
  title: string,
  suite: (open: () => Promise<DatabaseRig>) => void,
): Promise<void> {
  describe(`${title}: SQLite`, () => suite(sqliteRig))
  await describeWith('postgres', `${title}: PostgreSQL`, (servers) => {
    describe('over pg', () => suite(() => pgRig(servers.postgres)))
    describe('over postgres', () => suite(() => porsagerRig(servers.postgres)))
  })
  await describeWith('mariadb', `${title}: MariaDB`, (servers) => suite(() => mysqlRig(servers.mariadb)))
}

interface Server {
  createDatabase(): Promise<{ readonly url: string; drop(): Promise<void> }>
}

async function migrated(db: DatabaseHandle): Promise<void> {
  const database = openDatabase(db, {}, 'a test')
  await database.migrate()
  await database.close()
}

async function sqliteRig(): Promise<DatabaseRig> {
  const folder = mkdtempSync(join(tmpdir(), 'onceward-database-'))
  const path = join(folder, 'data.sqlite')
  await migrated(path)
  const handle = openSqlite(path)
  handle.exec('PRAGMA busy_timeout = 5000')
  const sql = async (text: string) => {
    if (/^\s*(SELECT|WITH|PRAGMA)/i.test(text) || /RETURNING/i.test(text)) {
      return handle.prepare(text).all() as readonly Readonly<Record<string, unknown>>[]
    }
    handle.exec(text)
    return []
  }
  return {
    dialect: 'sqlite',
    open: () => path,
    sql,
    async transact(body) {
      handle.exec('BEGIN IMMEDIATE')
      try {
        const value = await body({ handle, sql })
        handle.exec('COMMIT')
        return value
      } catch (error) {
        handle.exec('ROLLBACK')
        throw error
      }
    },
    async close() {
      handle.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function pgRig(server: Server): Promise<DatabaseRig> {
  const database = await server.createDatabase()
  const pools: pg.Pool[] = []
  const open = () => {
    const pool = new pg.Pool({ connectionString: database.url, max: 10 })
    pools.push(pool)
    return pool
  }
  const own = open()
  await migrated(own)
  return {
    dialect: 'postgres',
    open,
    sql: async (text) => lastOf(await own.query(text)).rows,
    async transact(body) {
      const client = await own.connect()
      try {
        await client.query('BEGIN')
        const value = await body({ handle: client, sql: (text) => client.query(text) })
        await client.query('COMMIT')
        return value
      } catch (error) {
        await client.query('ROLLBACK')
        throw error
      } finally {
        client.release()
      }
    },
    async close() {
      await Promise.all(pools.map((pool) => pool.end()))
      await database.drop()
    },
  }
}

async function porsagerRig(server: Server): Promise<DatabaseRig> {
  const database = await server.createDatabase()
  const roots: postgres.Sql[] = []
  const open = () => {
    const root = postgres(database.url, { max: 10, onnotice: () => {} })
    roots.push(root)
    return root as unknown as DatabaseHandle
  }
  open()
  const [own] = roots as [postgres.Sql]
  await migrated(own as unknown as DatabaseHandle)
  return {
    dialect: 'postgres',
    open,
    sql: async (text) => own.unsafe(text),
    transact: async (body) =>
      (await own.begin(async (tx) => body({ handle: tx, sql: (text) => tx.unsafe(text) }))) as Awaited<
        ReturnType<typeof body>
      >,
    async close() {
      await Promise.all(roots.map((root) => root.end({ timeout: 5 })))
      await database.drop()
    },
  }
}

async function mysqlRig(server: Server): Promise<DatabaseRig> {
  const database = await server.createDatabase()
  const pools: MysqlPool[] = []
  const open = () => {
    const pool = createPool({ uri: database.url, connectionLimit: 10 })
    pools.push(pool)
    return pool
  }
  const own = open()
  await migrated(own)
  return {
    dialect: 'mysql',
    open,
    sql: async (text) => {
      const [rows] = await own.query(text)
      return Array.isArray(rows) ? (rows as unknown as readonly Readonly<Record<string, unknown>>[]) : []
    },
    async transact(body) {
      const connection = await own.getConnection()
      try {
        await connection.beginTransaction()
        const value = await body({ handle: connection, sql: (text) => connection.query(text) })
        await connection.commit()
        return value
      } catch (error) {
        await connection.rollback()
        throw error
      } finally {
        connection.release()
      }
    },
    async close() {
      await Promise.all(pools.map((pool) => pool.end()))
      await database.drop()
    },
  }
}

function lastOf(answer: pg.QueryResult | readonly pg.QueryResult[]): pg.QueryResult {
  return Array.isArray(answer) ? (answer.at(-1) as pg.QueryResult) : (answer as pg.QueryResult)
}
