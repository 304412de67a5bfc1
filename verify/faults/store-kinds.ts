import type { WriteBusiness } from './business.ts'
import type { CataloguedStore, Library } from './library.ts'
import { openMysqlStore } from './open-mysql-store.ts'
import { openPostgresStore } from './open-postgres-store.ts'
import { openRedisStore } from './open-redis-store.ts'
import { openShardedStore } from './open-sharded-store.ts'
import { openSqliteStore } from './open-sqlite-store.ts'
import { openTieredStore } from './open-tiered-store.ts'

/** Where the store of a trial is, as a worker is told; it travels between processes. */
export type StoreAddress =
  | { readonly kind: 'sqlite'; readonly file: string; readonly synchronous: 'full' | 'normal' }
  | RedisAddress
  | PostgresAddress
  | {
      readonly kind: 'mysql'
      readonly url: string
      readonly timeoutMs: number
    }
  | {
      readonly kind: 'tiered'
      readonly cache: RedisAddress
      readonly store: PostgresAddress
    }
  | { readonly kind: 'sharded'; readonly shards: readonly StoreAddress[] }

/** A Redis server, and with which of the two drivers it is talked to. */
export interface RedisAddress {
  readonly kind: 'redis'
  readonly url: string
  readonly client: 'redis' | 'ioredis'
  readonly prefix: string
  readonly timeoutMs: number
}

/** A PostgreSQL database, and with which of the two drivers it is talked to. */
export interface PostgresAddress {
  readonly kind: 'postgres'
  readonly url: string
  readonly client: 'pg' | 'postgres'
  /** The default isolation level of the connections is SERIALIZABLE. */
  readonly serializable: boolean
  readonly timeoutMs: number
}

/** A store as a worker uses it. */
export interface OpenedStore {
  readonly store: CataloguedStore
  /** Absent where the store cannot join a transaction. */
  readonly write?: WriteBusiness
  /** Leaves the store without room, or gives it room again. */
  fill?(full: boolean): void
  /** Closes the store and what was opened for it. */
  close(): Promise<void>
}

/** The address of one kind of store. */
export type AddressOf<K extends StoreAddress['kind']> = Extract<StoreAddress, { readonly kind: K }>

const OPEN: {
  readonly [K in StoreAddress['kind']]: (library: Library, address: AddressOf<K>) => Promise<OpenedStore>
} = {
  sqlite: openSqliteStore,
  redis: openRedisStore,
  postgres: openPostgresStore,
  mysql: openMysqlStore,
  tiered: openTieredStore,
  sharded: (library, { shards }) => openShardedStore(library, shards, openStore),
}

/** Opens the store at an address. */
export function openStore(library: Library, address: StoreAddress): Promise<OpenedStore> {
  return OPEN[address.kind](library, address as never)
}
