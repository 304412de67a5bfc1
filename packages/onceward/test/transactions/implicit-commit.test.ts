/** Work that commits by itself, as CREATE TABLE does on MySQL and MariaDB, and throws then: half of it is there. */
import mysql from 'mysql2/promise'
import { expect, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { createOnce } from '../../src/core/index.ts'
import { createInbox } from '../../src/inbox/index.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'

await describeWith('mariadb', 'work that has committed by itself before it throws', ({ mariadb }) => {
  const rig = async () => {
    const database = await mariadb.createDatabase()
    const query = (sql: string) => mariadb.query(sql, [], database.name)
    await query('CREATE TABLE orders (cart varchar(40)) ENGINE = InnoDB')
    const pool = mysql.createPool({ uri: database.url, connectionLimit: 2 })
    const store = mysqlStore(pool)
    await store.migrate()
    return {
      pool,
      store,
      orders: async () => (await query('SELECT cart FROM orders ORDER BY cart')).map((row) => row['cart']),
      async close() {
        await store.close()
        await pool.end()
        await database.drop()
      },
    }
  }
  const sorry = new Error('sold out')
  const work = (statement: string) => async (tx: mysql.PoolConnection) => {
    await tx.query("INSERT INTO orders VALUES ('before')")
    await tx.query(statement)
    await tx.query("INSERT INTO orders VALUES ('after')")
    throw sorry
  }
  const isTold = {
    code: 'OUTCOME_UNKNOWN',
    effect: 'unknown',
    message: expect.stringMatching(/committed.*sold out/),
    cause: sorry,
  }

  it.each(['CREATE TABLE more (id int)', 'COMMIT'])(
    'is told of as an effect that may have happened, by the inbox and by an operation: %s',
    async (statement) => {
      const { pool, store, orders, close } = await rig()
      try {
        const inbox = createInbox<mysql.PoolConnection>({ db: pool, consumer: 'c', maxAttempts: 3 })
        await expect(inbox.process('m', work(statement))).rejects.toMatchObject(isTold)
        expect(await orders()).toEqual(['before'])
        expect(await inbox.process('m', () => 'again')).toEqual({ outcome: 'duplicate' })
        // The connections are given back as they were: what throws without that is rolled back.
        await expect(inbox.process('n', work('DO 1'))).rejects.toBe(sorry)
        expect(await orders()).toEqual(['before'])

        await pool.query('DROP TABLE IF EXISTS more')
        const once = createOnce({ store, scope: 'shop', cache: false, leaseMs: 100 })
        await expect(once.transaction({ key: 'k' }, work(statement) as never)).rejects.toMatchObject(isTold)
        expect(await orders()).toEqual(['before', 'before'])
        await expect(once.transaction({ key: 'l' }, work('DO 1') as never)).rejects.toBe(sorry)
        await inbox.close()
      } finally {
        await close()
      }
    },
  )

  it.each(['CREATE TABLE more (id int)', 'COMMIT'])(
    'is told of in the transaction of the caller: %s',
    async (statement) => {
      const { pool, store, orders, close } = await rig()
      const tx = await pool.getConnection()
      try {
        const once = createOnce({ store, scope: 'shop', cache: false })
        await tx.beginTransaction()
        const placed = once.within(tx as never, { key: 'k' }, () => work(statement)(tx))
        await expect(placed).rejects.toMatchObject(isTold)
        await tx.rollback()
        expect((await orders()).includes('before')).toBe(true)

        await tx.beginTransaction()
        await expect(once.within(tx as never, { key: 'l' }, () => work('DO 1')(tx))).rejects.toBe(sorry)
        await tx.rollback()
      } finally {
        tx.release()
        await close()
      }
    },
  )
})
