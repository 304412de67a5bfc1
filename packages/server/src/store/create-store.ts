import { memoryStore } from 'onceward/memory'
import { nearest } from '../config/nearest.ts'
import { withoutCredentials } from '../config/print-config.ts'
import { usageError } from '../exit-codes.ts'
import type { CatalogStore } from './catalog-store.ts'
import { readKeyRing } from './encryption-keys.ts'
import { MYSQL_SCHEMES, openMysqlStore } from './open-mysql.ts'
import { openPostgresStore, POSTGRES_SCHEMES } from './open-postgres.ts'
import { openRedisStore, REDIS_SCHEMES } from './open-redis.ts'
import { openSqliteStore } from './open-sqlite.ts'
import { assertCacheable, type CacheOptions, schemeOf, withCache } from './with-cache.ts'

/** How what a store remembers is encrypted. */
export type EncryptionMode = 'on' | 'accept-plain' | 'write-plain'

/** How a store is opened. */
export interface CreateStoreOptions extends CacheOptions {
  /** The URL of a cache in Redis, before a SQL store. */
  readonly cache?: string
  /** The file of the keys that what is remembered is sealed with. */
  readonly encryptionKeyFile?: string
  /** Whether what is not sealed is believed too, or even written. Default `on`: neither. */
  readonly encryption?: EncryptionMode
}

/** The ways to open a store, by scheme. */
const KINDS: Readonly<Record<string, (url: string, options: CreateStoreOptions) => Promise<CatalogStore>>> = {
  memory: async () => memoryStore(),
  sqlite: openSqliteStore,
  ...Object.fromEntries(REDIS_SCHEMES.map((scheme) => [scheme, openRedisStore])),
  ...Object.fromEntries(POSTGRES_SCHEMES.map((scheme) => [scheme, openPostgresStore])),
  ...Object.fromEntries(MYSQL_SCHEMES.map((scheme) => [scheme, openMysqlStore])),
}

/**
 * Opens the store that `url` names: `sqlite:FILE`, `redis://…`, `postgres://…`, `mysql://…` and their kin, or `memory:`
 * for tests; with a cache before it and encryption around it where they are asked for. Drivers are loaded when they are
 * needed. SQL servers are connected to by the first call.
 *
 * Closing it ends every connection, so that the process can end.
 *
 * @throws `CommandError`: usage for a URL that cannot be meant, store for a store that is not there or lets nobody in.
 */
export async function createStore(url: string, options: CreateStoreOptions): Promise<CatalogStore> {
  const open = KINDS[schemeOf(url)]
  if (open === undefined) throw usageError(`--store ${withoutCredentials(url)}: ${notAStore(schemeOf(url))}`)
  if (options.cache !== undefined) assertCacheable(url, options.cache)
  // Sealed outside of the cache, so that the bytes in Redis are sealed too.
  const keys =
    options.encryptionKeyFile === undefined ? undefined : await readKeyRing(options.encryptionKeyFile)
  const opened = await open(url, options)
  try {
    const store = options.cache === undefined ? opened : await withCache(opened, url, options.cache, options)
    if (keys === undefined) return store
    const { encryptedStore } = await import('onceward/encrypted')
    const writePlain = options.encryption === 'write-plain'
    const acceptPlain = writePlain || options.encryption === 'accept-plain'
    return encryptedStore(store, { keys, acceptPlain, writePlain })
  } catch (error) {
    await opened.close()
    throw error
  }
}

/** Whether what `url` names is gone with the process. */
export function isForgetful(url: string): boolean {
  return /^(?:memory:|sqlite::memory:)/i.test(url)
}

/** Whether the schema is brought up to date without being asked to: a file is one's own, a server is others' too. */
export function migratesItself(url: string): boolean {
  return ['sqlite', 'memory', ...REDIS_SCHEMES].includes(schemeOf(url))
}

function notAStore(scheme: string): string {
  const meant = scheme === '' ? undefined : nearest(scheme, Object.keys(KINDS))
  return `is not a store; give sqlite:FILE, redis://… (rediss:, redis+sentinel:, redis+cluster:), postgres://… or mysql://…${meant === undefined ? '' : `; did you mean ${meant}:?`}`
}
