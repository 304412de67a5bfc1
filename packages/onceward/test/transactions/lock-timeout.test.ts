import mysql from 'mysql2/promise'
import pg from 'pg'
import { expect, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { createOnce } from '../../src/core/index.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'

/** The whole seconds that MySQL counts in. */
const LOCK_TIMEOUT_MS = 1000

/** A transaction of a caller, over either driver. */
interface Caller {
  readonly tx: unknown
  run(sql: string): Promise<readonly object[]>
  end(how: 'COMMIT'): Promise<void>
}

await describeWith(['postgres', 'mariadb'], 'a key that another transaction holds for long', (servers) => {
  const kinds = [
    ['PostgreSQL', servers.postgres, onPostgres, "SELECT current_setting('lock_timeout') AS setting"],
    ['MariaDB', servers.mariadb, onMysql, 'SELECT @@SESSION.innodb_lock_wait_timeout AS setting'],
  ] as const

  it.each(kinds)(
    'is waited for, on %s, no longer than the caller allows',
    async (_, server, open, setting) => {
      const database = await server.createDatabase()
      const { store, begin, end } = open(database.url)
      let go = () => {}
      const gate = new Promise<void>((resolve) => {
        go = resolve
      })
      let holder: Promise<unknown> = Promise.resolve()
      try {
        await store.migrate()
        await server.query('CREATE TABLE orders (cart varchar(100))', [], database.name)
        const once = createOnce({ store, scope: 'shop', cache: false })
        const claimed = new Promise<void>((resolve) => {
          holder = once.transaction({ key: 'k' }, async () => {
            resolve()
            await gate
            return 'first'
          })
        })
        await claimed

        const caller = await begin()
        const [before] = await caller.run(setting)
        await caller.run("INSERT INTO orders VALUES ('before')")
        const startedAt = performance.now()
        const expected = { code: 'IN_PROGRESS', effect: 'none', retryable: true }
        await expect(once.within(caller.tx, { key: 'k' }, async () => 1)).rejects.toMatchObject(expected)
        const waitedMs = performance.now() - startedAt
        expect(waitedMs).toBeGreaterThan(LOCK_TIMEOUT_MS * 0.8)
        await caller.run("INSERT INTO orders VALUES ('after')")
        expect(await once.within(caller.tx, { key: 'other' }, async () => 2)).toBe(2)
        expect(await caller.run(setting)).toEqual([before])
        await caller.end('COMMIT')
        expect(await server.query('SELECT cart FROM orders', [], database.name)).toHaveLength(2)

        // The store's own transaction asks again, for as long as its caller waits.
        const duplicate = once.transaction({ key: 'k', waitMs: 20_000 }, async () => 'second')
        const other = createOnce({ store, scope: 'shop', cache: false })
        await expect(other.transaction({ key: 'k', waitMs: 1 }, async () => 3)).rejects.toMatchObject(
          expected,
        )
        go()
        expect([await holder, await duplicate]).toEqual(['first', 'first'])
      } finally {
        go()
        await holder.catch(() => {})
        await store.close()
        await end()
        await database.drop()
      }
    },
  )
})

function onPostgres(url: string) {
  const pool = new pg.Pool({ connectionString: url })
  const begin = async (): Promise<Caller> => {
    const client = await pool.connect()
    await client.query('BEGIN')
    return {
      tx: client,
      run: async (sql) => (await client.query(sql)).rows,
      async end(how) {
        await client.query(how)
        client.release()
      },
    }
  }
  return { store: postgresStore(pool, { lockTimeoutMs: LOCK_TIMEOUT_MS }), begin, end: () => pool.end() }
}

function onMysql(url: string) {
  const pool = mysql.createPool({ uri: url })
  const begin = async (): Promise<Caller> => {
    const connection = await pool.getConnection()
    await connection.beginTransaction()
    return {
      tx: connection,
      run: async (sql) => (await connection.query(sql))[0] as object[],
      async end(how) {
        await connection.query(how)
        connection.release()
      },
    }
  }
  return { store: mysqlStore(pool, { lockTimeoutMs: LOCK_TIMEOUT_MS }), begin, end: () => pool.end() }
}
