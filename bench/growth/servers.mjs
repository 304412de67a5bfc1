import { startMariadb, startPostgres, startRedis } from '../../test-servers/index.mjs'
import { STORES } from './connect.mjs'

/** @typedef {import('./connect.mjs').StoreName} StoreName */

/**
 * @typedef {object} StartedServer
 * @property {string} url For SQLite a file.
 * @property {string} about What it is, for the report.
 * @property {(text: string) => Promise<unknown>} [sql] Runs a statement in its database.
 * @property {() => Promise<void>} stop
 */

/**
 * Starts what a store needs.
 *
 * @param {StoreName} name
 * @param {string} folder For the file of SQLite, on the disk of the repository.
 * @returns {Promise<StartedServer>}
 */
export async function startServer(name, folder) {
  if (name === 'sqlite') {
    return { url: `${folder}/operations.sqlite`, about: 'SQLite, `synchronous = FULL`', stop: async () => {} }
  }
  if (name === 'redis') {
    const server = await startRedis()
    return {
      url: server.url,
      about: `Redis ${server.version}, nothing saved to disk`,
      stop: () => server.stop(),
    }
  }
  const settings = { max_connections: '500' }
  const server =
    name === 'postgres'
      ? await startPostgres({ settings })
      : await startMariadb({ settings: { ...settings } })
  const database = await server.createDatabase()
  return {
    url: database.url,
    about: `${name === 'postgres' ? 'PostgreSQL ' : ''}${server.version}, without flushing to disk`,
    sql: (text) => server.query(text, [], database.name),
    stop: () => server.stop(),
  }
}

/** The stores to measure. @param {string} only A name, or nothing for all. */
export function chosenStores(only) {
  if (only !== '' && !STORES.some((name) => name === only))
    throw new TypeError(`--store must be one of ${STORES.join(', ')}, not ${only}`)
  return STORES.filter((name) => only === '' || name === only)
}
