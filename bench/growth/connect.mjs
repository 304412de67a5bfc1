import { Redis } from 'ioredis'
import mysql from 'mysql2/promise'
import { mysqlStore } from 'onceward/mysql'
import { postgresStore } from 'onceward/postgres'
import { redisStore } from 'onceward/redis'
import { sqliteStore } from 'onceward/sqlite'
import pg from 'pg'

/** @typedef {import('onceward').OperationStore & import('onceward').OperationCatalog} Store */
/** @typedef {keyof typeof CONNECT} StoreName */

const CONNECT = {
  async redis(/** @type {string} */ url) {
    const client = new Redis(url)
    return { store: redisStore(client), close: async () => void (await client.quit()) }
  },
  async postgres(/** @type {string} */ url, /** @type {number} */ connections) {
    const pool = new pg.Pool({ connectionString: url, max: connections })
    return { store: postgresStore(pool), close: () => pool.end() }
  },
  async mariadb(/** @type {string} */ url, /** @type {number} */ connections) {
    const pool = mysql.createPool({ uri: url, connectionLimit: connections })
    return { store: mysqlStore(pool), close: () => pool.end() }
  },
  async sqlite(/** @type {string} */ file) {
    return { store: sqliteStore(file), close: async () => {} }
  },
}

export const STORES = /** @type {StoreName[]} */ (Object.keys(CONNECT))

/**
 * Opens a store of one process.
 *
 * @param {StoreName} name
 * @param {string} url For SQLite a file.
 * @param {number} [connections] The size of its pool, where it has one. Default 10.
 * @returns {Promise<{ store: Store, close(): Promise<void> }>}
 */
export async function connect(name, url, connections = 10) {
  const { store, close } = await CONNECT[name](url, connections)
  await store.migrate()
  return {
    store,
    async close() {
      await store.close()
      await close()
    },
  }
}
