import { Redis } from 'ioredis'
import mysql from 'mysql2/promise'
import { createLocks } from 'onceward/locks'
import { etcdLocks } from 'onceward/locks/etcd'
import { mysqlLocks } from 'onceward/locks/mysql'
import { postgresLocks } from 'onceward/locks/postgres'
import { redisLocks } from 'onceward/locks/redis'
import { sqliteLocks } from 'onceward/locks/sqlite'
import { createClient } from 'redis'
import { postgresPool, trips as statements } from '../sql/postgres-contestants.mjs'
import { WAIT_MS } from './contestant.mjs'

/**
 * @typedef {import('./contestant.mjs').LockContestant} LockContestant
 * @typedef {object} Opened
 * @property {import('onceward/locks').FencingBackend} backend
 * @property {() => Promise<number>} [trips]
 * @property {() => Promise<unknown>} close
 */

/** The size of every pool: the default of `mysql2` and `pg`. */
const CONNECTIONS = 10

/** @type {Record<string, { server: LockContestant['server'], open: (url: string) => Promise<Opened> }>} */
const BACKENDS = {
  ioredis: {
    server: 'redis',
    async open(url) {
      const client = new Redis(url)
      await client.ping()
      return { backend: redisLocks(client), close: () => client.quit() }
    },
  },
  'node-redis': {
    server: 'redis',
    async open(url) {
      const client = createClient({ url })
      await client.connect()
      return { backend: redisLocks(client), close: () => client.close() }
    },
  },
  PostgreSQL: {
    server: 'postgres',
    async open(url) {
      const pool = postgresPool(url)
      const backend = postgresLocks(pool)
      await backend.migrate()
      return { backend, trips: statements, close: () => pool.end() }
    },
  },
  MariaDB: {
    server: 'mariadb',
    async open(url) {
      const pool = mysql.createPool({ uri: url, connectionLimit: CONNECTIONS })
      const backend = mysqlLocks(pool)
      await backend.migrate()
      return { backend, close: () => pool.end() }
    },
  },
  SQLite: {
    server: 'sqlite',
    async open(file) {
      // Everything happens in this process.
      return { backend: sqliteLocks(file), trips: async () => 0, close: async () => {} }
    },
  },
  etcd: {
    server: 'etcd',
    async open(url) {
      let requests = 0
      const backend = etcdLocks(url, {
        fetch(address, init) {
          requests += 1
          return fetch(address, init)
        },
      })
      return { backend, trips: async () => requests, close: async () => {} }
    },
  },
}

/**
 * @param {string} name
 * @param {string} on
 * @param {Partial<LockContestant>} over
 * @param {import('onceward/locks').LocksOptions} [options]
 * @returns {LockContestant}
 */
function contestant(name, on, over, options) {
  const { server, open } = /** @type {(typeof BACKENDS)[string]} */ (BACKENDS[on])
  return {
    name,
    server,
    ...over,
    async open(url, ttlMs) {
      const { backend, trips, close } = await open(url)
      const mishaps = { lost: 0, failed: 0 }
      const locks = createLocks(backend, {
        ttlMs,
        waitMs: WAIT_MS,
        ...options,
        observer({ type }) {
          if (type === 'lost') mishaps.lost += 1
          if (type === 'extend-failed' || type === 'release-failed') mishaps.failed += 1
        },
      })
      return {
        mishaps,
        acquire: (key) => locks.acquire(key),
        ...(trips ? { trips } : {}),
        async close() {
          await locks.close()
          await close()
        },
      }
    },
  }
}

const names = Object.keys(BACKENDS)

/** @type {readonly LockContestant[]} */
export const onceward = [
  ...names.map((name) =>
    // Each lock in etcd has a lease of etcd, which is renewed by a request of its own: ten thousand are no use for it.
    contestant(`onceward, ${name}`, name, name === 'etcd' ? { kinds: ['pairs', 'waiters'] } : {}),
  ),
  ...names.map((name) =>
    contestant(
      `onceward, ${name}, not handed over inside`,
      name,
      { kinds: ['waiters'] },
      { localHandovers: 0 },
    ),
  ),
]
