import mysql from 'mysql2/promise'
import { createTasks } from 'onceward/tasks'
import pg from 'pg'
import { startServer } from '../growth/servers.mjs'

/** @typedef {'postgres' | 'mariadb' | 'sqlite'} DatabaseName */

export const DATABASES = /** @type {readonly DatabaseName[]} */ (['postgres', 'mariadb', 'sqlite'])

const OPEN = {
  postgres(/** @type {string} */ url) {
    const pool = new pg.Pool({ connectionString: url, max: 10 })
    return { db: pool, close: () => pool.end() }
  },
  mariadb(/** @type {string} */ url) {
    const pool = mysql.createPool({ uri: url, connectionLimit: 10 })
    return { db: pool, close: () => pool.end() }
  },
  sqlite(/** @type {string} */ url) {
    return { db: url, close: async () => {} }
  },
}

/**
 * Starts a database and opens ledgers on it.
 *
 * @param {DatabaseName} name
 * @param {string} folder
 */
export async function openLedgers(name, folder) {
  const server = await startServer(name, folder)
  const { db, close } = OPEN[name](server.url)
  /** @type {((event: import('onceward/tasks').TaskEventNotice) => void)[]} */
  const listening = []
  const tasks = createTasks({
    db,
    observer(event) {
      for (const tell of listening) tell(event)
    },
  })
  await tasks.migrate()
  return {
    tasks,
    db,
    about: server.about,
    sql: server.sql ?? (async () => {}),
    /** @param {(event: import('onceward/tasks').TaskEventNotice) => void} tell */
    listen(tell) {
      listening.push(tell)
      return () => void listening.splice(listening.indexOf(tell), 1)
    },
    async close() {
      await tasks.close()
      await close()
      await server.stop()
    },
  }
}
