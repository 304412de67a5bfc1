import { createHash } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { resolve } from 'node:path'
import { withoutCredentials } from '../config/print-config.ts'
import { usageError } from '../exit-codes.ts'
import { type CatalogStore, closingToo, type OpenOptions } from './catalog-store.ts'
import { openRedisClient, REDIS_SCHEMES } from './open-redis.ts'
import { fileOf } from './open-sqlite.ts'
import { parseStoreUrl } from './store-url.ts'

/** What a cache is opened with beside the options of the store. */
export interface CacheOptions extends OpenOptions {
  /** Told when the cache is left alone, and when it is used again. */
  readonly onCache?: (event: { readonly type: string; readonly message?: string }) => void
}

/**
 * Puts a cache in Redis before a SQL store. A Redis that is not there keeps nobody from starting: it may only make
 * things faster.
 *
 * @throws `CommandError` (usage) for a URL that is not one of Redis, and for a store that needs no cache.
 */
export async function withCache(
  store: CatalogStore,
  storeUrl: string,
  cacheUrl: string,
  options: CacheOptions,
): Promise<CatalogStore> {
  assertCacheable(storeUrl, cacheUrl)
  const opened = await openRedisClient('--cache', cacheUrl, {}, true)
  try {
    const { tieredStore } = await import('onceward/tiered')
    const tiered = tieredStore({
      cache: opened.client,
      store,
      prefix: opened.prefix ?? prefixFor(storeUrl),
      ...(options.onCache === undefined ? {} : { observer: options.onCache }),
    })
    return closingToo(tiered, opened.end)
  } catch (error) {
    await opened.end()
    throw error
  }
}

/** Refuses a cache that would be none. @throws `CommandError` (usage). */
export function assertCacheable(storeUrl: string, cacheUrl: string): void {
  const scheme = schemeOf(cacheUrl)
  if (!REDIS_SCHEMES.includes(scheme))
    throw usageError(`--cache ${withoutCredentials(cacheUrl)}: is not Redis; give redis://host:port`)
  if (REDIS_SCHEMES.includes(schemeOf(storeUrl)) || schemeOf(storeUrl) === 'memory')
    throw usageError(
      '--cache: goes before a SQL store; a store on Redis or in memory needs none, leave it out',
    )
}

/** The scheme of a URL, in lower case; empty when it has none. */
export function schemeOf(url: string): string {
  return /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? ''
}

/** Two databases that share one Redis must not answer for each other: the place of the store is part of every key. */
export function prefixFor(storeUrl: string, environment: NodeJS.ProcessEnv = process.env): string {
  const hash = createHash('sha256').update(placeOf(storeUrl, environment)).digest('hex').slice(0, 16)
  return `onceward:${hash}`
}

function placeOf(storeUrl: string, environment: NodeJS.ProcessEnv): string {
  const scheme = schemeOf(storeUrl)
  if (scheme === 'sqlite') return JSON.stringify(['sqlite', hostname(), resolve(fileOf(storeUrl))])
  const { hosts, path, user, parameter } = parseStoreUrl('--store', storeUrl, PLACES)
  const family = scheme.startsWith('postgres') ? 'postgres' : 'mysql'
  // Where no database is named, `pg` takes one from the environment, or the one that is called like the user.
  const database = path || [environment['PGDATABASE'], user ?? environment['PGUSER'] ?? userInfo().username]
  return JSON.stringify([family, hosts, parameter('host'), database, parameter('schema') ?? 'public'])
}

/** All parameters of SQL stores; which of them a store takes has been checked when it was opened. */
const PLACES: readonly string[] = [
  'schema',
  'poolSize',
  'sslmode',
  'sslrootcert',
  'host',
  'prepare',
  'listen',
  'ssl',
  'sslCa',
]
