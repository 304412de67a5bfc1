import mysql from 'mysql2/promise'
import { mysqlStore } from 'onceward/mysql'
import { onceContestant, storeContestant } from '../stores/onceward.mjs'

/** The size of every pool: the default of `mysql2`. */
const CONNECTIONS = 10

function naiveMysql(/** @type {string} */ name, /** @type {'query' | 'execute'} */ call) {
  return {
    name,
    async open(/** @type {string} */ url) {
      const pool = mysql.createPool({ uri: url, connectionLimit: CONNECTIONS })
      const send = (/** @type {string} */ sql, /** @type {string[]} */ values) =>
        call === 'query' ? pool.query(sql, values) : pool.execute(sql, values)
      await pool.query(
        `CREATE TABLE IF NOT EXISTS naive (id varchar(190) PRIMARY KEY, state varchar(10) NOT NULL, receipt text)`,
      )
      return {
        async run(/** @type {string} */ key, /** @type {() => unknown} */ work) {
          const [inserted] = await send(`INSERT IGNORE INTO naive (id, state) VALUES (?, 'running')`, [key])
          if (/** @type {import('mysql2').ResultSetHeader} */ (inserted).affectedRows === 0) {
            const [rows] = await send('SELECT state, receipt FROM naive WHERE id = ?', [key])
            const row = /** @type {any[]} */ (rows)[0]
            if (row?.state !== 'done') throw new Error('turned away: running')
            return JSON.parse(row.receipt)
          }
          const receipt = work()
          await send(`UPDATE naive SET state = 'done', receipt = ? WHERE id = ?`, [
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
export const contestants = [
  naiveMysql('mysql2, naive', 'query'),
  naiveMysql('mysql2, naive, prepared', 'execute'),
  storeContestant('onceward store, mysql2', onMysql),
  onceContestant('once.run, mysql2, no cache', onMysql, { cache: false }),
  onceContestant('once.run, mysql2, again in one process', onMysql),
]
