import { randomBytes } from 'node:crypto'
import {
  type SharedServers,
  sharedMariadb,
  sharedPostgres,
  sharedRedis,
} from '../../../../test-servers/index.mjs'

/** A place for operations on a server, for one test. */
export interface StorePlace {
  /** What `--store` is given. */
  readonly url: string
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
      const { url } = await sharedRedis()
      return { url: `${url}?prefix=gateway:${randomBytes(6).toString('hex')}`, drop: async () => {} }
    },
  },
  {
    kind: 'postgres',
    server: 'postgres',
    place: async () => (await sharedPostgres()).createDatabase(),
  },
  {
    kind: 'mysql',
    server: 'mariadb',
    place: async () => (await sharedMariadb()).createDatabase(),
  },
]
