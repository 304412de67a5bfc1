/** 200 buyers, 50 items, 12 connections: every guard sells 50, and reading, thinking and writing sells more. */
// biome-ignore-all lint/nursery/useAwaitThenable: one suite for drivers that answer at once and for those that answer later.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { createPool } from 'mysql2/promise'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { conflictOf } from '../../src/drivers/sql/index.ts'
import { openSqlite, type SqliteHandle } from '../../src/drivers/sqlite/index.ts'
import { insertOnce, transition, updateVersioned, withRow } from '../../src/sql/index.ts'
import { quietPool } from './quiet-pool.ts'

const BUYERS = 200
const ITEMS = 50
const CONNECTIONS = 12

/** A transaction of the shop. */
interface Sale {
  readonly tx: unknown
  rows(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>
}

/** One shop on one database. */
interface Shop {
  readonly rows: Sale['rows']
  /** On a connection of its own; again when the database has undone it for the sake of others. */
  sell<T>(work: (sale: Sale) => Promise<T>): Promise<T>
  /** The same, where the database lets everybody read and write at any time. */
  sellUnguarded<T>(work: (sale: Sale) => Promise<T>): Promise<T>
  close(): Promise<void>
}

type Buy = (shop: Shop, buyer: number) => Promise<boolean>

const sold = (sale: Sale, buyer: number) => sale.rows(`INSERT INTO sales (buyer) VALUES (${buyer})`)

/** What everybody writes first. */
const naively: Buy = (shop, buyer) =>
  shop.sellUnguarded(async (sale) => {
    const stock = Number((await sale.rows('SELECT stock FROM items WHERE id = 1'))[0]?.['stock'])
    if (stock === 0) return false
    await sale.rows(`UPDATE items SET stock = ${stock - 1} WHERE id = 1`)
    await sold(sale, buyer)
    return true
  })

/** Every item is a row, and a buyer takes one that is free. */
const byTransition: Buy = async (shop, buyer) => {
  for (;;) {
    const found = await shop.rows("SELECT id FROM units WHERE status = 'free' ORDER BY id LIMIT 20")
    if (found.length === 0) return false
    const id = Number(found[buyer % found.length]?.['id'])
    const taken = await shop.sell(async (sale) => {
      const set = { buyer }
      const moved = await transition(sale.tx, { table: 'units', id, from: 'free', to: 'sold', set })
      if (moved.won) await sold(sale, buyer)
      return moved.won
    })
    if (taken) return true
  }
}

/** The stock is a number, and a buyer writes what he made of the one that he has read. */
const byVersion: Buy = async (shop, buyer) => {
  for (;;) {
    // As in another request: nobody has kept the row for him since.
    const [item] = await shop.rows('SELECT stock, version FROM items WHERE id = 1')
    const stock = Number(item?.['stock'])
    if (stock === 0) return false
    const version = Number(item?.['version'])
    const won = await shop.sell(async (sale) => {
      const written = await updateVersioned(sale.tx, {
        table: 'items',
        id: 1,
        version,
        set: { stock: stock - 1 },
      })
      if (written.won) await sold(sale, buyer)
      return written.won
    })
    if (won) return true
  }
}

/** The stock is a number, and a buyer has it for himself while he thinks. */
const byLock: Buy = async (shop, buyer) => {
  const result = await shop.sell((sale) =>
    withRow(sale.tx, { table: 'items', id: 1 }, async (item: { stock: number }, update) => {
      if (item.stock === 0) return false
      await turn()
      await update({ stock: item.stock - 1 })
      await sold(sale, buyer)
      return true
    }),
  )
  return result.outcome === 'done' && result.value
}

function oversells(open: () => Promise<Shop>): void {
  let shop: Shop
  beforeAll(async () => {
    shop = await open()
    await shop.rows(
      'CREATE TABLE items (id integer PRIMARY KEY, stock integer NOT NULL, version bigint NOT NULL)',
    )
    await shop.rows('CREATE TABLE units (id integer PRIMARY KEY, status VARCHAR(8) NOT NULL, buyer integer)')
    await shop.rows('CREATE TABLE sales (buyer integer NOT NULL)')
    await shop.rows('CREATE TABLE seats (id integer PRIMARY KEY, taken integer NOT NULL)')
  }, 60_000)
  afterAll(() => shop?.close())
  beforeEach(async () => {
    for (const table of ['items', 'units', 'sales', 'seats']) await shop.rows(`DELETE FROM ${table}`)
    await shop.rows(`INSERT INTO items (id, stock, version) VALUES (1, ${ITEMS}, 1)`)
    const units = Array.from({ length: ITEMS }, (_, index) => `(${index + 1}, 'free')`)
    await shop.rows(`INSERT INTO units (id, status) VALUES ${units.join(', ')}`)
  })
  const buyers = <T>(buy: (buyer: number) => Promise<T>) =>
    Promise.all(Array.from({ length: BUYERS }, (_, buyer) => buy(buyer)))
  const sales = async () => (await shop.rows('SELECT buyer FROM sales')).map(({ buyer }) => Number(buyer))

  it.each([
    ['a transition of each item', byTransition],
    ['a version of the stock', byVersion],
    ['a lock of the stock', byLock],
  ])(
    'sells 50 items to 50 of 200 buyers by %s',
    async (_, buy) => {
      const answers = await buyers((buyer) => buy(shop, buyer))
      const made = await sales()
      expect(made.length).toBe(ITEMS)
      expect(new Set(made).size).toBe(ITEMS)
      expect(answers.flatMap((won, buyer) => (won ? [buyer] : [])).sort()).toEqual(made.sort())
      const [item] = await shop.rows('SELECT stock FROM items')
      const [free] = await shop.rows("SELECT COUNT(*) AS n FROM units WHERE status = 'free'")
      expect(buy === byTransition ? Number(free?.['n']) : Number(item?.['stock'])).toBe(0)
    },
    60_000,
  )

  it('sells more than 50 where a buyer reads, thinks and writes', async () => {
    await buyers((buyer) => naively(shop, buyer))
    expect((await sales()).length).toBeGreaterThan(ITEMS)
  }, 60_000)

  it('lets one of 200 insert a row, and all of them see that one', async () => {
    const answers = await buyers((buyer) =>
      shop.sell((sale) =>
        insertOnce<{ taken: number }>(sale.tx, {
          table: 'seats',
          values: { id: 7, taken: buyer },
          unique: ['id'],
          returning: ['taken'],
        }),
      ),
    )
    const first = answers.findIndex(({ won }) => won)
    expect(answers.filter(({ won }) => won).length).toBe(1)
    expect(new Set(answers.map(({ row }) => row?.taken))).toEqual(new Set([first]))
  }, 60_000)

  it('lets all of 200 write a row that one of them creates', async () => {
    const answers = await buyers(() =>
      shop.sell((sale) =>
        withRow(
          sale.tx,
          { table: 'seats', id: 8, create: { taken: 0 } },
          async (seat: { taken: number }, update) => {
            await turn()
            await update({ taken: seat.taken + 1 })
          },
        ),
      ),
    )
    expect(answers.filter((answer) => answer.outcome === 'done' && answer.created).length).toBe(1)
    expect(Number((await shop.rows('SELECT taken FROM seats'))[0]?.['taken'])).toBe(BUYERS)
  }, 60_000)
}

/** Runs work again that the database has undone. */
async function untilDone<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (conflictOf(error) === undefined) throw error
    }
  }
}

await describeWith('postgres', 'overselling on PostgreSQL', ({ postgres }) => {
  describe.each(['read committed', 'repeatable read'])('%s', (level) => {
    oversells(async () => {
      const database = await postgres.createDatabase()
      const pool = quietPool(database.url, CONNECTIONS)
      const sell = async <T>(work: (sale: Sale) => Promise<T>, isolation: string): Promise<T> => {
        const client = await pool.connect()
        try {
          await client.query(`BEGIN ISOLATION LEVEL ${isolation}`)
          const value = await work({ tx: client, rows: async (sql) => (await client.query(sql)).rows })
          await client.query('COMMIT')
          return value
        } catch (error) {
          await client.query('ROLLBACK')
          throw error
        } finally {
          client.release()
        }
      }
      return {
        rows: async (sql) => (await pool.query(sql)).rows,
        sell: (work) => untilDone(() => sell(work, level)),
        sellUnguarded: (work) => sell(work, 'read committed'),
        async close() {
          await pool.end()
          await database.drop()
        },
      }
    })
  })
})

await describeWith('mariadb', 'overselling on MariaDB', ({ mariadb }) => {
  describe.each(['READ COMMITTED', 'REPEATABLE READ'])('%s', (level) => {
    oversells(async () => {
      const database = await mariadb.createDatabase()
      const pool = createPool({ uri: database.url, connectionLimit: CONNECTIONS })
      type Connection = Awaited<ReturnType<typeof pool.getConnection>>
      const rowsOf = async (from: Pick<Connection, 'query'>, sql: string) => {
        const [answer] = await from.query(sql)
        return Array.isArray(answer) ? (answer as Readonly<Record<string, unknown>>[]) : []
      }
      const sell = async <T>(work: (sale: Sale) => Promise<T>): Promise<T> => {
        const connection = await pool.getConnection()
        try {
          await connection.query(`SET TRANSACTION ISOLATION LEVEL ${level}`)
          await connection.beginTransaction()
          const value = await work({ tx: connection, rows: (sql) => rowsOf(connection, sql) })
          await connection.commit()
          return value
        } catch (error) {
          await connection.rollback()
          throw error
        } finally {
          connection.release()
        }
      }
      return {
        rows: async (sql) => rowsOf(pool as never, sql),
        sell: (work) => untilDone(() => sell(work)),
        sellUnguarded: (work) => untilDone(() => sell(work)),
        async close() {
          await pool.end()
          await database.drop()
        },
      }
    })
  })
})

describe('overselling on SQLite', () => {
  oversells(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'onceward-oversell-'))
    const path = join(folder, 'shop.sqlite')
    const idle: SqliteHandle[] = Array.from({ length: CONNECTIONS }, () => openSqlite(path))
    for (const handle of idle) handle.exec('PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 0')
    const all = [...idle]
    const own = openSqlite(path)
    all.push(own)
    const rowsOf =
      (handle: SqliteHandle): Sale['rows'] =>
      async (sql) => {
        // As a driver of a server would: others come in between.
        await turn()
        return handle.prepare(sql).all() as Readonly<Record<string, unknown>>[]
      }
    const taken = async (): Promise<SqliteHandle> => {
      for (;;) {
        const handle = idle.pop()
        if (handle) return handle
        await turn()
      }
    }
    /** Waits outside SQLite for whoever writes: his next step is taken on this event loop too. */
    const begun = async (handle: SqliteHandle): Promise<void> => {
      for (;;) {
        try {
          handle.exec('BEGIN IMMEDIATE')
          return
        } catch (error) {
          if (!/locked/.test(String(error))) throw error
          await turn()
        }
      }
    }
    return {
      rows: rowsOf(own),
      async sell(work) {
        const handle = await taken()
        try {
          await begun(handle)
          const value = await work({ tx: handle, rows: rowsOf(handle) })
          handle.exec('COMMIT')
          return value
        } catch (error) {
          handle.exec('ROLLBACK')
          throw error
        } finally {
          idle.push(handle)
        }
      },
      async sellUnguarded(work) {
        const handle = await taken()
        try {
          return await work({ tx: handle, rows: rowsOf(handle) })
        } finally {
          idle.push(handle)
        }
      },
      async close() {
        for (const handle of all) handle.close()
        rmSync(folder, { recursive: true, force: true })
      },
    }
  })
})
