import mysql from 'mysql2/promise'
import pg from 'pg'
import { expect, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { createOnce } from '../../src/core/index.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'

/** What a transaction of the store hands to its work. */
interface Tx {
  query(sql: string): Promise<unknown>
}

await describeWith(['postgres', 'mariadb'], 'a deadlock between the writes of the work', (servers) => {
  const kinds = [
    [
      'PostgreSQL',
      servers.postgres,
      (url: string) => {
        const pool = new pg.Pool({ connectionString: url })
        return { store: postgresStore(pool), end: () => pool.end() }
      },
    ],
    [
      'MariaDB',
      servers.mariadb,
      (url: string) => {
        const pool = mysql.createPool({ uri: url })
        return { store: mysqlStore(pool), end: () => pool.end() }
      },
    ],
  ] as const

  it.each(kinds)('is settled on %s by running one of them again', async (_, server, open) => {
    const database = await server.createDatabase()
    const { store, end } = open(database.url)
    try {
      await store.migrate()
      await server.query(
        'CREATE TABLE stock (sku varchar(10) PRIMARY KEY, count int NOT NULL)',
        [],
        database.name,
      )
      await server.query("INSERT INTO stock VALUES ('a', 10), ('b', 10)", [], database.name)
      const once = createOnce({ store, scope: 'shop', cache: false })
      let holding = 0
      let both = () => {}
      const haveBoth = new Promise<void>((resolve) => {
        both = resolve
      })
      const take = (key: string, skus: readonly [string, string]) =>
        once.transaction({ key }, async (tx: Tx, op) => {
          await tx.query(`UPDATE stock SET count = count - 1 WHERE sku = '${skus[0]}'`)
          if (++holding === 2) both()
          await haveBoth
          await tx.query(`UPDATE stock SET count = count - 1 WHERE sku = '${skus[1]}'`)
          return op.attempt
        })
      const attempts = await Promise.all([take('order-1', ['a', 'b']), take('order-2', ['b', 'a'])])
      expect(attempts.toSorted(), 'the server has undone one of them').toEqual([1, 2])
      const rows = await server.query('SELECT count FROM stock', [], database.name)
      expect(rows.map((row) => Number(row['count']))).toEqual([8, 8])
      for (const key of ['order-1', 'order-2']) {
        expect(await once.get(key)).toMatchObject({ state: 'done', attempt: 1 })
      }
    } finally {
      await store.close()
      await end()
      await database.drop()
    }
  })
})
