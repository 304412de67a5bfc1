import { statSync } from 'node:fs'
import { Redis } from 'ioredis'
import { databaseClass } from '../lib/sqlite-class.mjs'
import { field } from '../redis/info.mjs'

/** @typedef {import('../growth/connect.mjs').StoreName} StoreName */
/** @typedef {import('../growth/servers.mjs').StartedServer} StartedServer */

/**
 * How many bytes a server has in use, its indexes included: memory of Redis, else of the pages of the table on disk.
 *
 * @param {StoreName} name
 * @param {StartedServer} server
 * @param {'onceward_seen' | 'by_hand'} table
 * @returns {Promise<number>}
 */
export async function bytesInUse(name, server, table) {
  switch (name) {
    case 'redis': {
      const client = new Redis(server.url)
      try {
        return field(await client.info('memory'), 'used_memory')
      } finally {
        client.disconnect()
      }
    }
    case 'sqlite': {
      const file = table === 'by_hand' ? `${server.url}.by-hand` : server.url
      const Database = databaseClass()
      const database = new Database(file)
      database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
      database.close()
      return statSync(file).size
    }
    case 'postgres':
      return Number(await only(server, `SELECT pg_total_relation_size('${table}') AS bytes`))
    default:
      await server.sql?.(`ANALYZE TABLE ${table}`)
      return Number(
        await only(
          server,
          `SELECT data_length + index_length AS bytes FROM information_schema.tables
          WHERE table_schema = DATABASE() AND table_name = '${table}'`,
        ),
      )
  }
}

/** @param {StartedServer} server @param {string} text */
async function only(server, text) {
  const rows = /** @type {{ bytes?: unknown }[] | undefined} */ (await server.sql?.(text))
  return rows?.[0]?.bytes
}
