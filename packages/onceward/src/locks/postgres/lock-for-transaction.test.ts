import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { describeWith, type SqlEndpoint, type TestDatabase } from '../../../../../test-servers/index.mjs'
import type { OpenWay } from '../../../test/transactions/way.ts'
import { WAYS_ON_POSTGRES } from '../../../test/transactions/ways-on-postgres.ts'
import { lockForTransaction } from './index.ts'

// On a busy machine a server takes its time for what it brings to the disk.
vi.setConfig({ testTimeout: 60_000 })

await describeWith('postgres', 'a lock for one transaction on PostgreSQL', ({ postgres: server }) => {
  describe.each(WAYS_ON_POSTGRES.map((one) => [one.name, one] as const))('by %s', (_, { open }) => {
    let database: TestDatabase
    let used: OpenWay

    beforeAll(async () => {
      database = await server.createDatabase()
      await server.query('CREATE TABLE orders (id serial PRIMARY KEY, cart text NOT NULL)', [], database.name)
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
        for (const waitMs of [0, 30]) {
          await expect(lockForTransaction(tx, 'cart/2', { waitMs })).rejects.toMatchObject({
            code: 'LOCK_TIMEOUT',
            effect: 'none',
            message: expect.stringContaining('"cart/2"'),
          })
        }
        await lockForTransaction(tx, 'cart/3', { waitMs: 0 })
        await used.insert(tx, 'went on')
        return 'went on'
      })
      expect(await carts(server, database)).toContain(cart)
      await holder.end('COMMIT')
      await used.transaction((tx) => lockForTransaction(tx, 'cart/2', { waitMs: 0 }))
    })

    it('ends with a rollback, and is had again inside the transaction that has it', async () => {
      const undone = used.transaction(async (tx) => {
        await lockForTransaction(tx, 'cart/4')
        await lockForTransaction(tx, 'cart/4', { waitMs: 0 })
        throw new Error('undone')
      })
      await expect(undone).rejects.toThrow('undone')
      await used.transaction((tx) => lockForTransaction(tx, 'cart/4', { waitMs: 0 }))
    })

    it('is refused outside a transaction, naming the mend', async () => {
      for (const { what, handle, mend } of used.roots) {
        const refused = lockForTransaction(handle, 'cart/5')
        await expect(refused, what).rejects.toThrow(mend)
        await expect(refused, what).rejects.toBeInstanceOf(TypeError)
      }
    })
  })

  it('leaves the time limit of the transaction as it was, and takes any text for a key', async () => {
    const database = await server.createDatabase()
    const [a, b] = [
      new pg.Client({ connectionString: database.url }),
      new pg.Client({ connectionString: database.url }),
    ]
    await Promise.all([a.connect(), b.connect()])
    await Promise.all([a.query('BEGIN'), b.query("BEGIN; SET LOCAL lock_timeout = '1234ms'")])
    for (const key of ["' OR 1=1 --", '\0', '🔒', 'x'.repeat(10_000)]) {
      await lockForTransaction(a, key)
      await expect(lockForTransaction(b, key, { waitMs: 5 })).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
    }
    const waiting = lockForTransaction(b, '🔒', { waitMs: 60_000 })
    await a.query('COMMIT')
    await waiting
    expect((await b.query('SHOW lock_timeout')).rows).toEqual([{ lock_timeout: '1234ms' }])
    await Promise.all([a.end(), b.end()])
    await database.drop()
  })
})

/** Another transaction that has the lock. */
async function holds(url: string, key: string): Promise<{ end(how: string): Promise<void> }> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('BEGIN')
  await lockForTransaction(client, key)
  return {
    async end(how) {
      await client.query(how)
      await client.end()
    },
  }
}

async function carts(server: SqlEndpoint, database: TestDatabase): Promise<readonly unknown[]> {
  return (await server.query('SELECT cart FROM orders', [], database.name)).map((row) => row['cart'])
}
