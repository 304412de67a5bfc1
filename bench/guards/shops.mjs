import mysql from 'mysql2/promise'
import { insertOnce, transition, updateVersioned, withRow } from 'onceward/sql'
import pg from 'pg'

/**
 * One connection to a table `items`, by which a buyer uses the row that is his own.
 *
 * @typedef {object} Shop
 * @property {(sql: string, values?: unknown[]) => Promise<any[]>} query
 * @property {any} handle The driver's own.
 * @property {() => Promise<unknown>} close
 */

/** @param {string} url @returns {Promise<Shop>} */
export async function postgresShop(url) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return {
    handle: client,
    query: async (sql, values) => (await client.query(sql, values)).rows,
    close: () => client.end(),
  }
}

/** @param {string} url @returns {Promise<Shop>} */
export async function mariadbShop(url) {
  const connection = await mysql.createConnection(url)
  return {
    handle: connection,
    query: async (sql, values) => {
      const [rows] = values
        ? await connection.execute(sql, /** @type {any} */ (values))
        : await connection.query(sql)
      return Array.isArray(rows) ? rows : []
    },
    close: () => connection.end(),
  }
}

/** @type {(sql: string) => string} */
const questionMarks = (sql) => sql.replace(/\$\d/g, '?')

/**
 * What each guard does, by hand and by `onceward/sql`, in a transaction each.
 *
 * @param {'postgres' | 'mariadb'} server
 * @returns {Record<string, (shop: Shop, id: number, turn: number) => Promise<unknown>>}
 */
export function buyers(server) {
  const text = server === 'postgres' ? (/** @type {string} */ sql) => sql : questionMarks
  const ifAbsent =
    server === 'postgres' ? 'ON CONFLICT (id) DO NOTHING' : 'ON DUPLICATE KEY UPDATE id = items.id'
  const [free, sold] = ['free', 'sold']
  return {
    'transition, by hand': (shop, id, turn) =>
      shop.query(text('UPDATE items SET status = $1 WHERE id = $2 AND status = $3'), [
        turn % 2 ? free : sold,
        id,
        turn % 2 ? sold : free,
      ]),
    transition: ({ handle }, id, turn) =>
      transition(handle, { table: 'items', id, from: turn % 2 ? sold : free, to: turn % 2 ? free : sold }),
    'version, by hand': (shop, id, turn) =>
      shop.query(text('UPDATE items SET stock = $1, version = version + 1 WHERE id = $2 AND version = $3'), [
        turn,
        id,
        turn + 1,
      ]),
    updateVersioned: ({ handle }, id, turn) =>
      updateVersioned(handle, { table: 'items', id, version: turn + 1, set: { stock: turn } }),
    'lock, by hand': async (shop, id) => {
      const [row] = await shop.query(text('SELECT * FROM items WHERE id = $1 FOR UPDATE'), [id])
      await shop.query(text('UPDATE items SET stock = $1 WHERE id = $2'), [row.stock + 1, id])
    },
    withRow: ({ handle }, id) =>
      withRow(handle, { table: 'items', id }, (/** @type {{ stock: number }} */ row, update) =>
        update({ stock: row.stock + 1 }),
      ),
    'insert, by hand': (shop, id) =>
      shop.query(text(`INSERT INTO items (id, status) VALUES ($1, $2) ${ifAbsent}`), [id, free]),
    insertOnce: ({ handle }, id) =>
      insertOnce(handle, { table: 'items', values: { id, status: free }, unique: ['id'] }),
  }
}
