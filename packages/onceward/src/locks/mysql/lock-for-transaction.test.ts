import { createConnection, createPool } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { describeWith, type SqlEndpoint, type TestDatabase } from '../../../../../test-servers/index.mjs'
import type { OpenWay } from '../../../test/transactions/way.ts'
import { WAYS_ON_MYSQL } from '../../../test/transactions/ways-on-mysql.ts'
import { lockForTransaction, mysqlLocks } from './index.ts'

// On a busy machine a server takes its time for what it brings to the disk.
vi.setConfig({ testTimeout: 60_000 })

await describeWith('mariadb', 'a lock for one transaction on MariaDB', ({ mariadb: server }) => {
  const migrated = async () => {
    const database = await server.createDatabase()
    const pool = createPool(database.url)
    await mysqlLocks(pool).migrate()
    await pool.end()
    return database
  }

  describe.each(WAYS_ON_MYSQL.map((one) => [one.name, one] as const))('by %s', (_, { open }) => {
    let database: TestDatabase
    let used: OpenWay

    beforeAll(async () => {
      database = await migrated()
      await server.query(
        'CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY, cart varchar(100) NOT NULL)',
        [],
        database.name,
      )
      used = await open(database.url)
    }, 60_000)
    afterAll(async () => {
      await used?.close()
      await database?.drop()
    })

    it('lets one transaction after the other work under it', async () => {
      const order: string[] = []
      const work = (name: string) =>
        used.transaction(async (tx) => {
          await lockForTransaction(tx, 'cart/1')
          order.push(`${name} in`)
          await used.insert(tx, name)
          order.push(`${name} out`)
        })
      await Promise.all([work('a'), work('b')])
      const [first] = order[0]?.split(' ') ?? []
      const second = first === 'a' ? 'b' : 'a'
      expect(order).toEqual([`${first} in`, `${first} out`, `${second} in`, `${second} out`])
    })

    it('is not to be had while another has it, and the transaction that waited in vain goes on', async () => {
      const holder = await holds(database.url, 'cart/2')
      const cart = await used.transaction(async (tx) => {
        await expect(lockForTransaction(tx, 'cart/2', { waitMs: 30 })).rejects.toMatchObject({
          code: 'LOCK_TIMEOUT',
          effect: 'none',
          message: expect.stringContaining('"cart/2"'),
        })
        await lockForTransaction(tx, 'cart/3')
        await used.insert(tx, 'went on')
        return 'went on'
      })
      expect(await carts(server, database)).toContain(cart)
      await holder.end('COMMIT')
      await used.transaction((tx) => lockForTransaction(tx, 'cart/2', { waitMs: 1 }))
    })

    it('ends with a rollback, and is had again inside the transaction that has it', async () => {
      const undone = used.transaction(async (tx) => {
        await lockForTransaction(tx, 'cart/4')
        await lockForTransaction(tx, 'cart/4', { waitMs: 1 })
        throw new Error('undone')
      })
      await expect(undone).rejects.toThrow('undone')
      await used.transaction((tx) => lockForTransaction(tx, 'cart/4', { waitMs: 1 }))
    })

    it('is refused outside a transaction, naming the mend', async () => {
      for (const { what, handle, mend } of used.roots) {
        const refused = lockForTransaction(handle, 'cart/5')
        await expect(refused, what).rejects.toThrow(mend)
        await expect(refused, what).rejects.toBeInstanceOf(TypeError)
      }
    })
  })

  it('is no hindrance for a lease of the same key, nor the other way round', async () => {
    const database = await migrated()
    const pool = createPool(database.url)
    const locks = mysqlLocks(pool, { queryTimeoutMs: 3000 })
    const request = {
      key: 'cart/6',
      token: 't',
      mode: 'exclusive',
      permits: 1,
      ttlMs: 60_000,
      owner: 'me',
    } as const
    const holder = await holds(database.url, 'cart/6')
    expect(await locks.acquire(request)).toMatchObject({ granted: true })
    await holder.end('ROLLBACK')
    await (await holds(database.url, 'cart/6')).end('COMMIT')
    await pool.end()
    await database.drop()
  })

  it('tells that the table is missing', async () => {
    const database = await server.createDatabase()
    const connection = await createConnection(database.url)
    await connection.beginTransaction()
    await expect(lockForTransaction(connection, 'cart/7')).rejects.toMatchObject({
      code: 'SCHEMA_MISSING',
      effect: 'none',
    })
    await connection.end()
    await database.drop()
  })
})

/** Another transaction that has the lock. */
async function holds(url: string, key: string): Promise<{ end(how: string): Promise<void> }> {
  const connection = await createConnection(url)
  await connection.beginTransaction()
  await lockForTransaction(connection, key)
  return {
    async end(how) {
      await connection.query(how)
      await connection.end()
    },
  }
}

async function carts(server: SqlEndpoint, database: TestDatabase): Promise<readonly unknown[]> {
  return (await server.query('SELECT cart FROM orders', [], database.name)).map((row) => row['cart'])
}
