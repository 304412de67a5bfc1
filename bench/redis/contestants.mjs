import { IdempotencyConfig, makeIdempotent } from '@aws-lambda-powertools/idempotency'
import { CachePersistenceLayer } from '@aws-lambda-powertools/idempotency/cache'
import { Idempotency } from '@node-idempotency/core'
import { RedisStorageAdapter } from '@node-idempotency/storage-adapter-redis'
import { Redis } from 'ioredis'
import { redisStore } from 'onceward/redis'
import { createClient } from 'redis'
import { LEASE_MS, RETENTION_MS } from '../stores/contestant.mjs'
import { onceContestant, storeContestant } from '../stores/onceward.mjs'

const PENDING = 'pending'

/**
 * What a careful person writes by hand: claim with SET NX, work, SET; GET where the key is known. No owner, no lease.
 *
 * @param {string} name
 * @param {(url: string) => Redis | import('ioredis').Cluster} connect
 * @returns {import('../stores/contestant.mjs').Contestant}
 */
export function byHand(name, connect) {
  return {
    name,
    async open(url) {
      const redis = connect(url)
      await redis.ping()
      return {
        async run(/** @type {string} */ key, /** @type {() => unknown} */ work) {
          const granted = await redis.set(`floor:${key}`, PENDING, 'PX', LEASE_MS, 'NX')
          if (granted === null) {
            const found = await redis.get(`floor:${key}`)
            if (found === null || found === PENDING) throw new Error('turned away: running')
            return JSON.parse(found)
          }
          const receipt = work()
          await redis.set(`floor:${key}`, JSON.stringify(receipt), 'PX', RETENTION_MS, 'XX')
          return receipt
        },
        close: async () => void (await redis.quit()),
      }
    },
  }
}

const CLAIM = `
local found = redis.call('GET', KEYS[1])
if found then return found end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false`
const COMPLETE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`

/**
 * One script for each claim and each completion, guarded by an owner.
 *
 * @param {string} name
 * @param {(url: string) => Redis | import('ioredis').Cluster} connect
 * @returns {import('../stores/contestant.mjs').Contestant}
 */
export function scriptPerKey(name, connect) {
  return {
    name,
    async open(url) {
      const redis = /** @type {any} */ (connect(url))
      redis.defineCommand('claimOne', { numberOfKeys: 1, lua: CLAIM })
      redis.defineCommand('completeOne', { numberOfKeys: 1, lua: COMPLETE })
      let count = 0
      return {
        async run(/** @type {string} */ key, /** @type {() => unknown} */ work) {
          const owner = `pending-${process.pid}-${count++}`
          const found = await redis.claimOne(`script:${key}`, owner, LEASE_MS)
          if (found !== null) {
            if (found.startsWith('pending-')) throw new Error('turned away: running')
            return JSON.parse(found)
          }
          const receipt = work()
          await redis.completeOne(`script:${key}`, owner, JSON.stringify(receipt), RETENTION_MS)
          return receipt
        },
        close: async () => void (await redis.quit()),
      }
    },
  }
}

/** The core of node-idempotency with its own Redis adapter, as its framework plugins call it. */
function nodeIdempotency() {
  return {
    name: '@node-idempotency/core',
    async open(/** @type {string} */ url) {
      const storage = new RedisStorageAdapter({ url })
      await storage.connect()
      const idempotency = new Idempotency(storage, { cacheTTLMS: RETENTION_MS })
      return {
        async run(/** @type {string} */ key, /** @type {() => unknown} */ work) {
          const request = {
            headers: { 'Idempotency-Key': key },
            path: '/payments',
            method: 'POST',
            body: { order: key, amount: 4200 },
          }
          const stored = await idempotency.onRequest(request)
          if (stored !== undefined) return stored.body
          const receipt = work()
          await idempotency.onResponse(request, { body: /** @type {any} */ (receipt) })
          return receipt
        },
        close: () => storage.disconnect(),
      }
    },
  }
}

/** AWS Powertools on node-redis, which is the client it names. */
function powertools() {
  return {
    name: '@aws-lambda-powertools/idempotency',
    async open(/** @type {string} */ url) {
      const client = createClient({ url })
      await client.connect()
      const persistenceStore = new CachePersistenceLayer({ client: /** @type {any} */ (client) })
      const config = new IdempotencyConfig({ eventKeyJmesPath: 'order' })
      // Outside Lambda somebody has to say how much time is left; without it two concurrent calls both run.
      config.registerLambdaContext(/** @type {any} */ ({ getRemainingTimeInMillis: () => LEASE_MS }))
      /** @type {Map<string, () => unknown>} */
      const works = new Map()
      const charge = makeIdempotent(
        async (/** @type {{ order: string, amount: number }} */ event) => works.get(event.order)?.(),
        { persistenceStore, config },
      )
      return {
        async run(/** @type {string} */ key, /** @type {() => unknown} */ work) {
          works.set(key, work)
          try {
            return await charge({ order: key, amount: 4200 })
          } finally {
            works.delete(key)
          }
        },
        close: () => client.close(),
      }
    },
  }
}

const withIoredis = async (/** @type {string} */ url) => {
  const client = new Redis(url)
  const store = redisStore(client)
  return {
    store,
    async close() {
      await store.close()
      await client.quit()
    },
  }
}

const withNodeRedis = async (/** @type {string} */ url) => {
  const client = createClient({ url })
  await client.connect()
  const store = redisStore(client)
  return {
    store,
    async close() {
      await store.close()
      await client.close()
    },
  }
}

/** @type {readonly import('../stores/contestant.mjs').Contestant[]} */
export const contestants = [
  byHand('by hand, ioredis, auto-pipelined', (url) => new Redis(url, { enableAutoPipelining: true })),
  byHand('by hand, ioredis', (url) => new Redis(url)),
  scriptPerKey('by hand, a script per key', (url) => new Redis(url, { enableAutoPipelining: true })),
  nodeIdempotency(),
  powertools(),
  storeContestant('onceward store, ioredis', withIoredis),
  storeContestant('onceward store, node-redis', withNodeRedis),
  onceContestant('once.run, ioredis, no cache', withIoredis, { cache: false }),
  onceContestant('once.run, node-redis, no cache', withNodeRedis, { cache: false }),
  onceContestant('once.run, ioredis, again in one process', withIoredis),
]
