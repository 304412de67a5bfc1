import { Redis } from 'ioredis'
import { postgresStore } from 'onceward/postgres'
import { tieredStore } from 'onceward/tiered'
import { postgresPool, trips } from '../sql/postgres-contestants.mjs'
import { onceContestant } from '../stores/onceward.mjs'

export { trips }

/** The URL of PostgreSQL and that of Redis stand one after another, with a space between. */
const alone = async (/** @type {string} */ urls) => {
  const [postgres = ''] = urls.split(' ')
  const pool = postgresPool(postgres)
  const store = postgresStore(pool)
  await store.migrate()
  return {
    store,
    async close() {
      await store.close()
      await pool.end()
    },
  }
}

const tiered = async (/** @type {string} */ urls) => {
  const [, redis = ''] = urls.split(' ')
  const { store, close } = await alone(urls)
  const client = new Redis(redis)
  const both = tieredStore({ cache: client, store: /** @type {ReturnType<typeof postgresStore>} */ (store) })
  return {
    store: both,
    async close() {
      await both.close()
      await close()
      await client.quit()
    },
  }
}

/** @type {readonly import('../stores/contestant.mjs').Contestant[]} */
export const contestants = [
  onceContestant('once.run, PostgreSQL alone', alone, { cache: false }),
  onceContestant('once.run, Redis before PostgreSQL', tiered, { cache: false }),
]
