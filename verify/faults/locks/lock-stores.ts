import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { createLocks, LockBackend } from 'onceward/locks'
import { connectRedis } from '../open-redis-store.ts'

/** Where the locks of a trial are, as a worker is told; it travels between processes. */
export type LockAddress =
  | {
      readonly kind: 'redis'
      readonly url: string
      readonly client: 'redis' | 'ioredis'
      readonly prefix: string
      readonly timeoutMs: number
    }
  | { readonly kind: 'postgres'; readonly url: string; readonly timeoutMs: number }
  | { readonly kind: 'mysql'; readonly url: string; readonly timeoutMs: number }
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'etcd'; readonly url: string; readonly prefix: string; readonly timeoutMs: number }

/** Locks as a worker uses them. */
export interface OpenedLockBackend {
  readonly backend: LockBackend
  /** Ends what was opened beside the backend. */
  end(): Promise<void>
}

/** What a worker needs of a built library, so that a mutated copy can take the place of the real one. */
export interface LockLibrary {
  readonly createLocks: typeof createLocks
  readonly isOncewardError: (error: unknown) => error is { readonly code: string; readonly effect: string }
  open(address: LockAddress): Promise<OpenedLockBackend>
}

type Factory = (...args: readonly unknown[]) => LockBackend

/** Loads the built library of a folder. */
export async function loadLockLibrary(folder: string): Promise<LockLibrary> {
  const load = (...path: string[]) => import(pathToFileURL(join(resolve(folder), ...path)).href)
  const { createLocks: create } = await load('locks', 'index.js')
  const { isOncewardError } = await load('core', 'index.js')
  if (create === undefined) throw new Error(`${folder} holds no built library; run tsc -b first`)
  const factory = async (name: string, called: string): Promise<Factory> =>
    (await load('locks', name, 'index.js'))[called]
  return { createLocks: create, isOncewardError, open: (address) => openBackend(factory, address) }
}

async function openBackend(
  factory: (name: string, called: string) => Promise<Factory>,
  address: LockAddress,
): Promise<OpenedLockBackend> {
  switch (address.kind) {
    case 'redis': {
      const { client, end } = await connectRedis(address)
      const make = await factory('redis', 'redisLocks')
      const backend = make(client, { prefix: address.prefix, commandTimeoutMs: address.timeoutMs })
      return { backend, end: async () => end() }
    }
    case 'postgres': {
      const { default: pg } = await import('pg')
      const pool = new pg.Pool({
        connectionString: address.url,
        max: 4,
        connectionTimeoutMillis: address.timeoutMs,
      })
      pool.on('error', () => {})
      const make = await factory('postgres', 'postgresLocks')
      return { backend: make(pool, { queryTimeoutMs: address.timeoutMs }), end: () => soon(pool.end()) }
    }
    case 'mysql': {
      const { createPool } = await import('mysql2/promise')
      const pool = createPool({ uri: address.url, connectionLimit: 4, connectTimeout: address.timeoutMs })
      const make = await factory('mysql', 'mysqlLocks')
      return { backend: make(pool, { queryTimeoutMs: address.timeoutMs }), end: () => soon(pool.end()) }
    }
    case 'sqlite': {
      const make = await factory('sqlite', 'sqliteLocks')
      return { backend: make(address.file), end: async () => {} }
    }
    case 'etcd': {
      const make = await factory('etcd', 'etcdLocks')
      const { url, prefix, timeoutMs } = address
      return { backend: make(url, { prefix, timeoutMs }), end: async () => {} }
    }
  }
}

/** A connection that is still in use would be waited for. */
async function soon(ended: Promise<unknown>): Promise<void> {
  await Promise.race([ended.catch(() => {}), new Promise((done) => setTimeout(done, 500))])
}
