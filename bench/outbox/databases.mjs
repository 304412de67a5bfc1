import mysql from 'mysql2/promise'
import { createOutbox } from 'onceward/outbox'
import pg from 'pg'
import { startServer } from '../growth/servers.mjs'
import { databaseClass } from '../lib/sqlite-class.mjs'

/** @typedef {'postgres' | 'mariadb' | 'sqlite'} DatabaseName */

export const DATABASES = /** @type {readonly DatabaseName[]} */ (['postgres', 'mariadb', 'sqlite'])

/** @typedef {(tx: object) => unknown} Body */

const OPEN = {
  postgres(/** @type {string} */ url) {
    const pool = new pg.Pool({ connectionString: url, max: 10 })
    return {
      db: pool,
      async transact(/** @type {Body} */ body) {
        const client = await pool.connect()
        await client.query('BEGIN')
        await body(client)
        await client.query('COMMIT')
        client.release()
      },
      close: () => pool.end(),
    }
  },
  mariadb(/** @type {string} */ url) {
    const pool = mysql.createPool({ uri: url, connectionLimit: 10 })
    return {
      db: pool,
      async transact(/** @type {Body} */ body) {
        const connection = await pool.getConnection()
        await connection.beginTransaction()
        await body(connection)
        await connection.commit()
        connection.release()
      },
      close: () => pool.end(),
    }
  },
  sqlite(/** @type {string} */ url) {
    /** @type {{ exec(sql: string): void, close(): void } | undefined} */
    let handle
    return {
      db: url,
      async transact(/** @type {Body} */ body) {
        handle ??= new (databaseClass())(url)
        handle.exec('PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE')
        body(handle)
        handle.exec('COMMIT')
        await new Promise((resolve) => setImmediate(resolve))
      },
      close: async () => handle?.close(),
    }
  },
}

/**
 * Starts a database and opens an outbox on it.
 *
 * @param {DatabaseName} name
 * @param {string} folder
 */
export async function openOutbox(name, folder) {
  const server = await startServer(name, folder)
  const { db, transact, close } = OPEN[name](server.url)
  const outbox = createOutbox({ db })
  await outbox.migrate()
  return {
    outbox,
    db,
    transact,
    about: server.about,
    async close() {
      await outbox.close()
      await close()
      await server.stop()
    },
  }
}
