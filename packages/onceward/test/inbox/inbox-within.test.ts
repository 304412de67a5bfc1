/** Messages that are taken in the transactions of every package, and under stricter isolation. */
import { createPool } from 'mysql2/promise'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeWith, type SqlEndpoint, type TestDatabase } from '../../../../test-servers/index.mjs'
import type { DatabaseHandle } from '../../src/drivers/database/index.ts'
import { createInbox, type Inbox } from '../../src/inbox/index.ts'
import type { OpenWay, Way } from '../transactions/way.ts'
import { WAYS_ON_MYSQL } from '../transactions/ways-on-mysql.ts'
import { WAYS_ON_POSTGRES } from '../transactions/ways-on-postgres.ts'

/** Connections that end while nobody uses them, with the database, are no news. */
const quiet = (pool: object) =>
  (pool as { on(event: string, listener: () => void): void }).on('error', () => {})

function everyWay(
  server: SqlEndpoint,
  ways: readonly Way[],
  id: string,
  pool: (url: string) => DatabaseHandle & { end(): Promise<unknown> },
): void {
  describe.each(ways.map((one) => [one.name, one] as const))('%s', (_, { open }) => {
    let database: TestDatabase
    let used: OpenWay
    let own: ReturnType<typeof pool>
    let inbox: Inbox

    beforeAll(async () => {
      database = await server.createDatabase()
      await server.query(
        `CREATE TABLE orders (id ${id} PRIMARY KEY, cart VARCHAR(40) NOT NULL)`,
        [],
        database.name,
      )
      used = await open(database.url)
      own = pool(database.url)
      quiet(own)
      inbox = createInbox({ db: own, consumer: 'billing', autoMigrate: true })
      await inbox.migrate()
    }, 60_000)
    afterAll(async () => {
      await used?.close()
      await inbox?.close()
      await own?.end()
      await database?.drop()
    })

    it('takes a message once, commits and rolls back with the caller', async () => {
      const deliver = (fails = false) =>
        used.transaction(async (tx) => {
          if (!(await inbox.within(tx, 'm€1'))) return 'duplicate'
          await used.insert(tx, 'cart')
          if (fails) throw new Error('never mind')
          return 'processed'
        })
      await expect(deliver(true)).rejects.toThrow('never mind')
      const outcomes = await Promise.all(Array.from({ length: 5 }, () => deliver()))
      expect(outcomes.sort()).toEqual([...Array(4).fill('duplicate'), 'processed'])
      expect(await server.query('SELECT cart FROM orders', [], database.name)).toEqual([{ cart: 'cart' }])
    })

    it('refuses what is no transaction', async () => {
      for (const { handle } of used.roots)
        await expect((async () => inbox.within(handle, 'm2'))()).rejects.toThrow(TypeError)
    })
  })
}

await describeWith('postgres', 'a message within a transaction on PostgreSQL', ({ postgres }) => {
  everyWay(postgres, WAYS_ON_POSTGRES, 'serial', (url) => new pg.Pool({ connectionString: url }))

  it.each(['REPEATABLE READ', 'SERIALIZABLE'])(
    'is refused under %s where another has committed it since, and is a duplicate when run again',
    async (level) => {
      const database = await postgres.createDatabase()
      const pool = new pg.Pool({ connectionString: database.url })
      quiet(pool)
      const inbox = createInbox<pg.PoolClient>({ db: pool, consumer: 'billing' })
      await inbox.migrate()
      const client = await pool.connect()
      try {
        await client.query(`BEGIN ISOLATION LEVEL ${level}`)
        await client.query('SELECT 1 FROM pg_class LIMIT 1')
        await inbox.process('m1', (tx) => tx.query('SELECT 1'))
        await expect((async () => inbox.within(client, 'm1'))()).rejects.toMatchObject({
          code: 'STORE_UNAVAILABLE',
          effect: 'none',
          message: expect.stringMatching(/run this one again/),
        })
        await client.query('ROLLBACK')
        await client.query(`BEGIN ISOLATION LEVEL ${level}`)
        expect(await inbox.within(client, 'm1')).toBe(false)
        expect(await inbox.within(client, 'm2')).toBe(true)
        await client.query('COMMIT')
      } finally {
        client.release()
        await inbox.close()
        await pool.end()
        await database.drop()
      }
    },
  )
})

await describeWith('mariadb', 'a message within a transaction on MariaDB', ({ mariadb }) => {
  everyWay(mariadb, WAYS_ON_MYSQL, 'integer AUTO_INCREMENT', (url) => createPool({ uri: url }))

  it('is a duplicate under REPEATABLE READ, though the snapshot of the caller does not show it', async () => {
    const database = await mariadb.createDatabase()
    const pool = createPool({ uri: database.url })
    const inbox = createInbox({ db: pool, consumer: 'billing' })
    await inbox.migrate()
    const connection = await pool.getConnection()
    try {
      await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ')
      await connection.beginTransaction()
      await connection.query('SELECT count(*) FROM onceward_inbox')
      await inbox.process('m1', () => {})
      expect(await inbox.within(connection, 'm1')).toBe(false)
      expect(await inbox.within(connection, 'm2')).toBe(true)
      await connection.commit()
    } finally {
      connection.release()
      await inbox.close()
      await pool.end()
      await database.drop()
    }
  })
})
