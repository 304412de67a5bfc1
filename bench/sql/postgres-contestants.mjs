import { postgresStore } from 'onceward/postgres'
import pg from 'pg'
import { onceContestant, storeContestant } from '../stores/onceward.mjs'

/** The size of every pool: the default of `pg`. */
const CONNECTIONS = 10

/**
 * A client that counts what it sends: `pg` waits for the answer to a statement before it sends the next. (The counts of
 * the server itself come up to a second late.)
 */
class CountingClient extends pg.Client {
  static sent = 0

  /** @override @param {any[]} parts @returns {any} */
  query(...parts) {
    CountingClient.sent += 1
    return /** @type {any} */ (super.query)(...parts)
  }
}

/** How many statements this process has sent to PostgreSQL. */
export async function trips() {
  return CountingClient.sent
}

/** @param {string} url */
export function postgresPool(url) {
  return new pg.Pool({ connectionString: url, max: CONNECTIONS, Client: CountingClient })
}

const PG_TABLE = `CREATE TABLE IF NOT EXISTS naive (key text PRIMARY KEY, state text NOT NULL, receipt jsonb,
  created_at timestamptz NOT NULL DEFAULT now())`

/** What most teams write: a row with ON CONFLICT DO NOTHING, the work, an update. No owner, no lease, no fingerprint. */
function naivePostgres(/** @type {string} */ name, /** @type {boolean} */ prepared) {
  const named = (/** @type {string} */ label) => (prepared ? { name: label } : {})
  return {
    name,
    async open(/** @type {string} */ url) {
      const pool = postgresPool(url)
      await pool.query(PG_TABLE).catch(ignoreRace)
      return {
        async run(/** @type {string} */ key, /** @type {() => unknown} */ work) {
          const { rowCount } = await pool.query({
            ...named('claim'),
            text: `INSERT INTO naive (key, state) VALUES ($1, 'running') ON CONFLICT (key) DO NOTHING`,
            values: [key],
          })
          if (rowCount === 0) {
            const { rows } = await pool.query({
              ...named('read'),
              text: 'SELECT state, receipt FROM naive WHERE key = $1',
              values: [key],
            })
            if (rows[0]?.state !== 'done') throw new Error('turned away: running')
            return rows[0].receipt
          }
          const receipt = work()
          await pool.query({
            ...named('complete'),
            text: `UPDATE naive SET state = 'done', receipt = $2 WHERE key = $1`,
            values: [key, JSON.stringify(receipt)],
          })
          return receipt
        },
        close: () => pool.end(),
      }
    },
  }
}

function ignoreRace(/** @type {unknown} */ error) {
  // Two processes that create one table at the same moment.
  if (!/duplicate key|already exists/.test(String(error))) throw error
}

const onPostgres = async (/** @type {string} */ url) => {
  const pool = postgresPool(url)
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

/** @type {readonly import('../stores/contestant.mjs').Contestant[]} */
export const contestants = [
  naivePostgres('pg, naive', false),
  naivePostgres('pg, naive, prepared', true),
  storeContestant('onceward store, pg', onPostgres),
  onceContestant('once.run, pg, no cache', onPostgres, { cache: false }),
  onceContestant('once.run, pg, again in one process', onPostgres),
]
