import mysql from 'mysql2/promise'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  describeWith,
  faultProxy,
  type SqlEndpoint,
  type TestDatabase,
} from '../../../../test-servers/index.mjs'
import { createOnce, type Once } from '../../src/core/index.ts'
import type { OperationCatalog, OperationStore } from '../../src/core/store.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'

/** What a transaction of the store hands to its work. */
interface Tx {
  query(sql: string): Promise<unknown>
}

interface Opened {
  readonly store: OperationStore & OperationCatalog
  end(): Promise<void>
}

interface Kind {
  readonly orders: string
  /** COMMIT as it goes over the network. */
  readonly commit: string
  open(url: string): Opened
}

const onPostgres: Kind = {
  orders: 'CREATE TABLE orders (cart text UNIQUE DEFERRABLE INITIALLY DEFERRED)',
  commit: 'COMMIT\0',
  open(url) {
    const pool = new pg.Pool({ connectionString: url })
    pool.on('error', () => {})
    return { store: postgresStore(pool), end: () => pool.end() }
  },
}

const onMysql: Kind = {
  orders: 'CREATE TABLE orders (cart varchar(100)) ENGINE = InnoDB',
  commit: 'COMMIT',
  open(uri) {
    const pool = mysql.createPool({ uri })
    return { store: mysqlStore(pool), end: () => pool.end() }
  },
}

const insert = (tx: Tx, cart: string) => tx.query(`INSERT INTO orders VALUES ('${cart}')`)

await describeWith(['postgres', 'mariadb'], 'a transaction that ends oddly', (servers) => {
  const kinds = [
    ['PostgreSQL', servers.postgres, onPostgres],
    ['MariaDB', servers.mariadb, onMysql],
  ] as const

  describe.each(kinds)('on %s', (name, server, kind) => {
    let database: TestDatabase
    let opened: Opened
    let once: Once
    beforeAll(async () => {
      database = await server.createDatabase()
      await server.query(kind.orders, [], database.name)
      opened = kind.open(database.url)
      await opened.store.migrate()
      once = createOnce({ store: opened.store, scope: 'shop', cache: false })
    })
    afterAll(async () => {
      await opened?.store.close()
      await opened?.end()
      await database?.drop()
    })
    const orders = async (cart: string) => {
      const rows = await server.query('SELECT cart FROM orders', [], database.name)
      return rows.filter((row) => row['cart'] === cart).length
    }

    it.each<[string, unknown]>([
      ['null', null],
      ['undefined', undefined],
      ['no number', Number.NaN],
      ['an empty text', ''],
      ['what cannot be looked at', hostile()],
    ])('passes on what the work throws, be it %s, and leaves nothing behind', async (what, thrown) => {
      const run = once.transaction({ key: what }, async (tx: Tx) => {
        await insert(tx, what)
        throw thrown
      })
      const caught = await run.then(
        () => 'nothing was thrown',
        (error: unknown) => ({ error }),
      )
      expect(typeof caught === 'object' && Object.is(caught.error, thrown)).toBe(true)
      expect(await orders(what)).toBe(0)
      expect(await once.get(what)).toBeUndefined()
    })

    it('replays although the COMMIT of the replay is lost: it had nothing to commit', async () => {
      const place = (by: Once) =>
        by.transaction({ key: 'replayed' }, async (tx: Tx) => {
          await insert(tx, 'replayed')
          return 'placed'
        })
      await place(once)
      const proxy = await faultProxy({ target: endOf(server) })
      const behind = kind.open(proxy.url(database.url))
      try {
        await behind.store.stats()
        proxy.cutOnReplyTo(kind.commit)
        const other = createOnce({ store: behind.store, scope: 'shop', cache: false })
        expect(await place(other)).toBe('placed')
        expect(proxy.fired, 'the proxy has cut something').toBeGreaterThan(0)
        expect(await orders('replayed')).toBe(1)
      } finally {
        await behind.store.close()
        await behind.end()
        await proxy.stop()
      }
    })

    it.runIf(name === 'PostgreSQL')(
      name === 'PostgreSQL'
        ? 'passes on the error of a constraint that COMMIT has checked'
        : 'passes on the error of a constraint that COMMIT has checked [skipped: it defers no constraints]',
      async () => {
        const place = (key: string) =>
          once.transaction({ key }, async (tx: Tx) => {
            await insert(tx, 'unique')
            return key
          })
        await place('first')
        // Not ours to interpret: it is about the tables of the work.
        await expect(place('second')).rejects.toMatchObject({ code: '23505', constraint: 'orders_cart_key' })
        expect(await orders('unique')).toBe(1)
        expect(await once.get('second')).toBeUndefined()
      },
    )
  })
})

await describeWith(
  'mariadb',
  'a deadlock that the work swallows, in the transaction of the caller',
  ({ mariadb }) => {
    it.each([
      ['has never run', false],
      ['was given back before', true],
    ])(
      'is told as an unknown effect where the operation %s: what it wrote afterwards is there',
      async (_, before) => {
        const database = await mariadb.createDatabase()
        const query = (sql: string) => mariadb.query(sql, [], database.name)
        await query(onMysql.orders)
        await query('CREATE TABLE stock (sku int PRIMARY KEY, count int) ENGINE = InnoDB')
        await query('INSERT INTO stock VALUES (1, 0), (2, 0)')
        const pool = mysql.createPool({ uri: database.url })
        const store = mysqlStore(pool)
        await store.migrate()
        const once = createOnce({ store, scope: 'shop', cache: false, onError: 'release' })
        if (before)
          await once.run({ key: 'order' }, () => Promise.reject(new Error('declined'))).catch(() => {})
        const [mine, other] = [await pool.getConnection(), await pool.getConnection()]
        try {
          await other.beginTransaction()
          // The server undoes the one that has changed less.
          for (let row = 0; row < 20; row++) await insert(other, 'weight')
          await other.query('UPDATE stock SET count = 1 WHERE sku = 2')
          await mine.beginTransaction()
          const placed = once.within(mine, { key: 'order' }, async () => {
            await mine.query('UPDATE stock SET count = 2 WHERE sku = 1')
            const waiting = other.query('UPDATE stock SET count = 1 WHERE sku = 1')
            await mine.query('UPDATE stock SET count = 2 WHERE sku = 2').catch(() => {})
            await waiting
            await insert(mine, 'order')
          })
          await expect(placed).rejects.toMatchObject({ code: 'CLAIM_LOST', effect: 'unknown' })
          await mine.query('ROLLBACK')
          const rows = await query("SELECT cart FROM orders WHERE cart = 'order'")
          expect(rows, 'it has committed by itself').toHaveLength(1)
        } finally {
          await other.query('ROLLBACK')
          mine.release()
          other.release()
          await store.close()
          await pool.end()
          await database.drop()
        }
      },
    )
  },
)

function endOf({ host, port }: SqlEndpoint): { readonly host: string; readonly port: number } {
  return { host, port }
}

/** Whatever is read of it throws. */
function hostile(): unknown {
  return new Proxy(
    {},
    {
      get() {
        throw new Error('hands off')
      },
    },
  )
}
