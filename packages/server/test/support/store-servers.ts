import { randomBytes } from 'node:crypto'
import {
  type SharedServers,
  type SqlEndpoint,
  sharedMariadb,
  sharedPostgres,
  sharedRedis,
} from '../../../../test-servers/index.mjs'

/** A place for operations on a server, for one test. */
export interface StorePlace {
  /** What `--store` is given. */
  readonly url: string
  /** Forgets every operation. */
  empty(): Promise<void>
  drop(): Promise<void>
}

/** The kinds of stores on servers: what starts the server, and how a fresh place on it is made. */
export const SERVER_STORES: readonly {
  readonly kind: 'redis' | 'postgres' | 'mysql'
  readonly server: keyof SharedServers
  place(): Promise<StorePlace>
}[] = [
  {
    kind: 'redis',
    server: 'redis',
    async place() {
      const { url, command } = await sharedRedis()
      const prefix = `gateway:${randomBytes(6).toString('hex')}`
      const empty = async () => {
        const keys = (await command('KEYS', `${prefix}*`)) as readonly string[]
        if (keys.length > 0) await command('DEL', ...keys.map(String))
      }
      return { url: `${url}?prefix=${prefix}`, empty, drop: empty }
    },
  },
  { kind: 'postgres', server: 'postgres', place: async () => inDatabase(await sharedPostgres()) },
  { kind: 'mysql', server: 'mariadb', place: async () => inDatabase(await sharedMariadb()) },
]

async function inDatabase(server: SqlEndpoint): Promise<StorePlace> {
  const database = await server.createDatabase()
  return {
    url: database.url,
    empty: async () => void (await server.query('DELETE FROM onceward_operations', [], database.name)),
    drop: () => database.drop(),
  }
}
