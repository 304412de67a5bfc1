import { Cluster } from 'ioredis'
import { redisStore } from 'onceward/redis'
import { createCluster } from 'redis'
import { onceContestant, storeContestant } from '../stores/onceward.mjs'
import { byHand, scriptPerKey } from './contestants.mjs'

/** The URLs of the nodes stand one after another, with commas between. */
const autoPipelined = (/** @type {string} */ urls) =>
  new Cluster(urls.split(','), { enableAutoPipelining: true })

const withIoredis = async (/** @type {string} */ urls) => {
  const client = new Cluster(urls.split(','))
  const store = redisStore(client)
  return {
    store,
    async close() {
      await store.close()
      await client.quit()
    },
  }
}

const withNodeRedis = async (/** @type {string} */ urls) => {
  const client = createCluster({ rootNodes: urls.split(',').map((url) => ({ url })) })
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
  byHand('by hand, ioredis, auto-pipelined', autoPipelined),
  scriptPerKey('by hand, a script per key', autoPipelined),
  storeContestant('onceward store, ioredis', withIoredis),
  storeContestant('onceward store, node-redis', withNodeRedis),
  onceContestant('once.run, ioredis, no cache', withIoredis, { cache: false }),
]
