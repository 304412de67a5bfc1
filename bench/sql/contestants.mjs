import mysql from 'mysql2/promise'
import { mysqlStore } from 'onceward/mysql'
import { postgresStore } from 'onceward/postgres'
import pg from 'pg'
import { onceContestant, storeContestant } from '../stores/onceward.mjs'

/** The size of every pool: the default of `pg`. */
const CONNECTIONS = 10

const PG_TABLE = `CREATE TABLE IF NOT EXISTS naive (key text PRIMARY KEY, state text NOT NULL, receipt jsonb,
  created_at timestamptz NOT NULL DEFAULT now())`

/** What most teams write: a row with ON CONFLICT DO NOTHING, the work, an update. No owner, no lease, no fingerprint. */
function naivePostgres(/** @type {string} */ name, /** @type {boolean} */ prepared) {
  const named = (/** @type {string} */ label) => (prepared ? { name: label } : {})
  return {
    name,
    async open(/** @type {string} */ url) {
      const pool = new pg.Pool({ connectionString: url, max: CONNECTIONS })
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

function naiveMysql(/** @type {string} */ name, /** @type {'query' | 'execute'} */ call) {
  return {
    name,
    async open(/** @type {string} */ url) {
      const pool = mysql.createPool({ uri: url, connectionLimit: CONNECTIONS })
      await pool.query(
        `CREATE TABLE IF NOT EXISTS naive (id varchar(190) PRIMARY KEY, state varchar(10) NOT NULL, receipt text)`,
      )
      return {
        async run(/** @type {string} */ key, /** @type {() => unknown} */ work) {
          const [inserted] = await pool[call](`INSERT IGNORE INTO naive (id, state) VALUES (?, 'running')`, [
            key,
          ])
          if (/** @type {import('mysql2').ResultSetHeader} */ (inserted).affectedRows === 0) {
            const [rows] = await pool[call]('SELECT state, receipt FROM naive WHERE id = ?', [key])
            const row = /** @type {any[]} */ (rows)[0]
            if (row?.state !== 'done') throw new Error('turned away: running')
            return JSON.parse(row.receipt)
          }
          const receipt = work()
          await pool[call](`UPDATE naive SET state = 'done', receipt = ? WHERE id = ?`, [
            JSON.stringify(receipt),
            key,
          ])
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
  const pool = new pg.Pool({ connectionString: url, max: CONNECTIONS })
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

const onMysql = async (/** @type {string} */ url) => {
  const pool = mysql.createPool({ uri: url, connectionLimit: CONNECTIONS })
  const store = mysqlStore(pool)
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
export const postgresContestants = [
  naivePostgres('pg, naive', false),
  naivePostgres('pg, naive, prepared', true),
  storeContestant('onceward store, pg', onPostgres),
  onceContestant('once.run, pg, no cache', onPostgres, { cache: false }),
]

/** @type {readonly import('../stores/contestant.mjs').Contestant[]} */
export const mysqlContestants = [
  naiveMysql('mysql2, naive', 'query'),
  naiveMysql('mysql2, naive, prepared', 'execute'),
  storeContestant('onceward store, mysql2', onMysql),
  onceContestant('once.run, mysql2, no cache', onMysql, { cache: false }),
]

export const contestants = [...postgresContestants, ...mysqlContestants]
