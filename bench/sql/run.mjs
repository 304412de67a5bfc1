// PostgreSQL and MariaDB: what most teams write, and Onceward, for fresh keys, replays and storms of one key.
// Run: node bench/sql/run.mjs [--server postgres] [--rounds 5] [--ms 800] [--only onceward] [--durable] (after a build)
import { fileURLToPath } from 'node:url'
import { startMariadb, startPostgres } from '../../test-servers/index.mjs'
import { readOptions } from '../lib/options.mjs'
import { report } from '../lib/report.mjs'
import { compare } from '../stores/compare.mjs'
import { mysqlContestants, postgresContestants } from './contestants.mjs'

const options = readOptions({ server: '', rounds: 5, ms: 800, only: '', durable: false })

const SERVERS = {
  postgres: {
    title: 'PostgreSQL: once for each key',
    start: startPostgres,
    contestants: postgresContestants,
    tables: ['onceward_operations', 'naive'],
    // Each statement outside a transaction is a transaction of its own.
    trips: `SELECT sum(xact_commit + xact_rollback)::float8 AS trips FROM pg_stat_database`,
    unit: 'transactions',
  },
  mariadb: {
    title: 'MariaDB: once for each key',
    start: startMariadb,
    contestants: mysqlContestants,
    tables: ['onceward_operations', 'naive'],
    trips: `SELECT CAST(VARIABLE_VALUE AS DOUBLE) AS trips FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'QUESTIONS'`,
    unit: 'statements',
  },
}

for (const [name, about] of Object.entries(SERVERS)) {
  if (options.server !== '' && options.server !== name) continue
  const server = await about.start({ durable: options.durable })
  try {
    const database = await server.createDatabase()
    const sql = (/** @type {string} */ text) => server.query(text, [], database.name)
    const parts = await compare({
      module: fileURLToPath(new URL('./contestants.mjs', import.meta.url)),
      contestants: about.contestants.filter((one, index) => index === 0 || one.name.includes(options.only)),
      url: database.url,
      trips: async () => Number((await sql(about.trips))[0]?.['trips']),
      clear: async () => {
        for (const table of about.tables) await sql(`DELETE FROM ${table}`).catch(() => [])
      },
      inFlight: [1, 64, 256],
      rounds: options.rounds,
      ms: options.ms,
    })
    report(options.durable ? `${name}-durable` : name, about.title, [
      `${server.version} and one client process with a pool of ten connections on one machine, ` +
        `${options.durable ? 'each commit flushed to disk' : 'without flushing to disk (fsync off)'}. Median (min–max) of ` +
        `${options.rounds} interleaved rounds of ${options.ms} ms; the ratio is the median of the ratios to the first ` +
        `contestant within a round. Round trips are ${about.unit} that the server counted for each operation.`,
      ...parts,
    ])
  } finally {
    await server.stop()
  }
}
