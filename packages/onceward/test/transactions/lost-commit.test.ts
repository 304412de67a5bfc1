import mysql from 'mysql2/promise'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import {
  describeWith,
  type FaultProxy,
  faultProxy,
  type SqlEndpoint,
} from '../../../../test-servers/index.mjs'
import { createOnce, isOncewardError } from '../../src/core/index.ts'
import type { OperationCatalog, OperationStore } from '../../src/core/store.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'

/** What a transaction of the store hands to its work. */
interface Tx {
  query(sql: string, values: readonly string[]): Promise<unknown>
}

interface Kind {
  readonly orders: string
  readonly insert: string
  /** As it goes over the network: BEGIN speaks of READ COMMITTED. */
  readonly commit: string
  open(
    url: string,
    queryTimeoutMs: number,
  ): { readonly store: OperationStore & OperationCatalog; end(): Promise<void> }
}

const onPostgres: Kind = {
  orders: 'CREATE TABLE orders (cart text NOT NULL)',
  insert: 'INSERT INTO orders VALUES ($1)',
  commit: 'COMMIT\0',
  open(url, queryTimeoutMs) {
    const pool = new pg.Pool({ connectionString: url })
    // A pool tells of connections that break while they are idle.
    pool.on('error', () => {})
    return { store: postgresStore(pool, { queryTimeoutMs }), end: () => pool.end() }
  },
}

const onMysql: Kind = {
  orders: 'CREATE TABLE orders (cart varchar(100) NOT NULL) ENGINE = InnoDB',
  insert: 'INSERT INTO orders VALUES (?)',
  commit: 'COMMIT',
  open(url, queryTimeoutMs) {
    const pool = mysql.createPool({ uri: url })
    return { store: mysqlStore(pool, { queryTimeoutMs }), end: () => pool.end() }
  },
}

await describeWith(['postgres', 'mariadb'], 'a COMMIT whose answer is lost', (servers) => {
  const kinds = [
    ['PostgreSQL', servers.postgres, onPostgres],
    ['MariaDB', servers.mariadb, onMysql],
  ] as const

  describe.each(kinds)('on %s', (_, server, kind) => {
    /** Runs one order through a proxy that `fault` has been given to. */
    const tried = async (fault: (proxy: FaultProxy) => void, queryTimeoutMs = 10_000) => {
      const database = await server.createDatabase()
      await server.query(kind.orders, [], database.name)
      const proxy = await faultProxy({ target: endOf(server) })
      const direct = kind.open(database.url, 10_000)
      const { store, end } = kind.open(proxy.url(database.url), queryTimeoutMs)
      try {
        await direct.store.migrate()
        const attempts: number[] = []
        const once = createOnce({ store, scope: 'shop', cache: false })
        const place = () =>
          once.transaction({ key: 'order-1' }, async (tx: Tx, op) => {
            attempts.push(op.attempt)
            await tx.query(kind.insert, ['order-1'])
            return op.attempt
          })
        await untilAnswered(() => store.get(idOf()))
        fault(proxy)
        const answer = await place().catch((error: unknown) => error)
        const { fired } = proxy
        await proxy.pass()
        const again = await untilAnswered(place)
        const rows = await server.query('SELECT cart FROM orders', [], database.name)
        return { answer, again, attempts, fired, rows: rows.length }
      } finally {
        await Promise.allSettled([store.close(), direct.store.close()])
        await Promise.allSettled([end(), direct.end()])
        await proxy.stop()
        await database.drop()
      }
    }

    it('is a success where the server has heard it', async () => {
      const { answer, again, attempts, fired, rows } = await tried((proxy) => proxy.cutOnReplyTo(kind.commit))
      expect(fired, 'the proxy has cut something').toBeGreaterThan(0)
      expect([answer, again]).toEqual([1, 1])
      expect(attempts).toEqual([1])
      expect(rows).toBe(1)
    })

    it('is tried again, or told as without effect, where the server has never heard it', async () => {
      let cut = 0
      const { answer, again, attempts, rows } = await tried((proxy) =>
        proxy.onRequest((bytes) => (bytes.includes(kind.commit) && cut++ === 0 ? 'cut' : undefined)),
      )
      expect(cut, 'the proxy has cut something').toBeGreaterThan(0)
      if (answer instanceof Error) expect(answer).toMatchObject({ effect: 'none', retryable: true })
      else expect(answer).toBe(again)
      expect(attempts).toHaveLength(2)
      expect(rows).toBe(1)
    })

    it('is unknown where the server cannot be asked, and the next call finds out', async () => {
      const { answer, again, attempts, rows } = await tried((proxy) => {
        proxy.onRequest((bytes) => {
          if (!bytes.includes(kind.commit)) return undefined
          // Heard by the server, and then nothing goes through any more.
          proxy.blackHole()
          return 'pass'
        })
      }, 1500)
      expect(answer).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'unknown', retryable: true })
      expect(attempts.length).toBe(again)
      expect(rows).toBe(1)
    })

    it('is no question where the connection breaks before it', async () => {
      const { answer, again, rows } = await tried((proxy) =>
        proxy.onRequest((bytes) => (bytes.includes('INSERT INTO orders') ? 'cut' : undefined)),
      )
      expect(answer).toBeInstanceOf(Error)
      expect(answer).not.toMatchObject({ effect: 'unknown' })
      expect(again).toBe(1)
      expect(rows).toBe(1)
    })
  })
})

/** Asks again where the server was too busy to answer in time. */
async function untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!isOncewardError(error, 'STORE_UNAVAILABLE') || error.effect !== 'none') throw error
    }
  }
}

function endOf({ host, port }: SqlEndpoint): { readonly host: string; readonly port: number } {
  return { host, port }
}

function idOf(): { readonly scope: string; readonly key: string; readonly digest: string } {
  return { scope: 'shop', key: 'warm-up', digest: 'w'.repeat(43) }
}
