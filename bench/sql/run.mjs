// PostgreSQL and MariaDB: what most teams write, and Onceward, for fresh keys, replays and storms of one key.
// Run: node bench/sql/run.mjs [--server postgres] [--rounds 5] [--ms 800] [--only onceward] [--durable] (after a build)
import { fileURLToPath } from 'node:url'
import { startMariadb, startPostgres } from '../../test-servers/index.mjs'
import { readOptions } from '../lib/options.mjs'
import { report } from '../lib/report.mjs'
import { compare } from '../stores/compare.mjs'
import { contestants as mysqlContestants } from './mysql-contestants.mjs'
import { contestants as postgresContestants } from './postgres-contestants.mjs'

const options = readOptions({ server: '', rounds: 5, ms: 800, only: '', durable: false })

/** @typedef {import('../../test-servers/index.mjs').SqlServer} SqlServer */

const QUESTIONS = `SELECT CAST(VARIABLE_VALUE AS DOUBLE) AS trips FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'QUESTIONS'`

const SERVERS = {
  postgres: {
    title: 'PostgreSQL: once for each key',
    start: startPostgres,
    module: './postgres-contestants.mjs',
    contestants: postgresContestants,
    // Counted by the client: the counts of the server come up to a second late.
    trips: async () => Number.NaN,
    targets: targets(['onceward store, pg', 'once.run, pg, no cache'], { 64: 4, 256: 7 }),
  },
  mariadb: {
    title: 'MariaDB: once for each key',
    start: startMariadb,
    module: './mysql-contestants.mjs',
    contestants: mysqlContestants,
    trips: async (/** @type {SqlServer} */ server) => Number((await server.query(QUESTIONS))[0]?.['trips']),
    targets: targets(['onceward store, mysql2', 'once.run, mysql2, no cache'], { 64: 4 }),
  },
}

for (const [name, about] of Object.entries(SERVERS)) {
  if (options.server !== '' && options.server !== name) continue
  const server = await about.start({ durable: options.durable })
  try {
    const database = await server.createDatabase()
    const parts = await compare({
      module: fileURLToPath(new URL(about.module, import.meta.url)),
      contestants: about.contestants.filter((one, index) => index === 0 || one.name.includes(options.only)),
      url: database.url,
      trips: () => about.trips(server),
      clear: async () => {
        for (const table of ['onceward_operations', 'naive'])
          await server.query(`TRUNCATE TABLE ${table}`, [], database.name).catch(() => [])
      },
      inFlight: [1, 64, 256],
      targets: about.targets,
      rounds: options.rounds,
      ms: options.ms,
    })
    report(options.durable ? `${name}-durable` : name, about.title, [
      `${name === 'postgres' ? 'PostgreSQL ' : ''}${server.version} and one client process with a pool of ten connections on one machine, ` +
        `${options.durable ? 'each commit flushed to disk' : 'without flushing to disk'}. Median (min–max) of ` +
        `${options.rounds} interleaved rounds of ${options.ms} ms; the ratio is the median of the ratios to the first ` +
        'contestant within a round. Round trips are statements for each operation. Replays go round 2,000 keys; those ' +
        '*again in one process* round 500, which fit its cache. Naively, duplicates of a storm are turned away; `once.run` ' +
        'gives each the result.',
      ...parts,
    ])
  } finally {
    await server.stop()
  }
}

/** @param {readonly string[]} names @param {Record<number, number>} goals Ratios by callers in flight. */
function targets(names, goals) {
  return Object.entries(goals).flatMap(([at, atLeast]) =>
    names.map((contestant) => ({
      contestant,
      kind: /** @type {const} */ ('fresh'),
      at: Number(at),
      atLeast,
    })),
  )
}
