import { startEtcd, startMariadb, startPostgres, startRedis } from '../../test-servers/index.mjs'
import { field } from '../redis/info.mjs'

/** @typedef {import('./contestant.mjs').ServerName} ServerName */

/**
 * @typedef {object} LockServer
 * @property {string} url For SQLite a file.
 * @property {string} about What it is, for the report.
 * @property {() => Promise<Counts>} counts What it has seen until now, as far as it says so.
 * @property {() => Promise<void>} stop
 *
 * @typedef {{ trips?: number, commands?: number }} Counts
 */

/** What asks, rather than being asked for. */
const NOT_COUNTED = new Set([
  'info',
  'hello',
  'auth',
  'client',
  'client|setinfo',
  'client|setname',
  'command',
  'ping',
])

/** @type {Record<ServerName, (folder: string) => Promise<LockServer>>} */
const START = {
  async redis() {
    const server = await startRedis()
    return {
      url: server.url,
      about: `Redis ${server.version}, nothing saved to disk`,
      async counts() {
        const stats = await server.command('INFO', 'stats')
        const text = String(await server.command('INFO', 'commandstats'))
        let commands = 0
        for (const [, name = '', calls] of text.matchAll(/cmdstat_([^:]+):calls=(\d+)/g))
          if (!NOT_COUNTED.has(name)) commands += Number(calls)
        return { trips: field(stats, 'total_reads_processed'), commands }
      },
      stop: () => server.stop(),
    }
  },
  async postgres() {
    const server = await startPostgres({ settings: { max_connections: '300' } })
    const { url } = await server.createDatabase()
    // Its own counts come up to a second late: the client counts.
    return {
      url,
      about: `PostgreSQL ${server.version}, without flushing to disk`,
      counts: async () => ({}),
      stop: () => server.stop(),
    }
  },
  async mariadb() {
    const server = await startMariadb({ settings: { max_connections: '300' } })
    const { url } = await server.createDatabase()
    return {
      url,
      about: `${server.version}, without flushing to disk`,
      async counts() {
        const rows = await server.query(`SHOW GLOBAL STATUS LIKE 'Questions'`)
        return { trips: Number(rows[0]?.['Value']) }
      },
      stop: () => server.stop(),
    }
  },
  async sqlite(folder) {
    return {
      url: `${folder}/locks.sqlite`,
      about: 'SQLite on disk',
      counts: async () => ({}),
      stop: async () => {},
    }
  },
  async etcd() {
    const server = await startEtcd()
    return {
      url: server.url,
      about: `etcd ${server.version}, one member`,
      counts: async () => ({}),
      stop: () => server.stop(),
    }
  },
}

/** @param {readonly ServerName[]} names @param {string} folder */
export async function startServers(names, folder) {
  /** @type {Map<ServerName, LockServer>} */
  const servers = new Map()
  try {
    for (const name of names) servers.set(name, await START[name](folder))
  } catch (error) {
    for (const server of servers.values()) await server.stop()
    throw error
  }
  return servers
}
