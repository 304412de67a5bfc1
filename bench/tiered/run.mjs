// Redis before PostgreSQL against PostgreSQL alone.
// Run: node bench/tiered/run.mjs [--rounds 5] [--ms 600] (after a build)
import { fileURLToPath } from 'node:url'
import { startPostgres, startRedis } from '../../test-servers/index.mjs'
import { readOptions } from '../lib/options.mjs'
import { report } from '../lib/report.mjs'
import { compare } from '../stores/compare.mjs'
import { contestants } from './contestants.mjs'

const options = readOptions({ rounds: 5, ms: 600 })
const [postgres, redis] = await Promise.all([startPostgres(), startRedis()])
try {
  const database = await postgres.createDatabase()
  const parts = await compare({
    module: fileURLToPath(new URL('./contestants.mjs', import.meta.url)),
    contestants,
    url: `${database.url} ${redis.url}`,
    // Counted by the client.
    trips: async () => Number.NaN,
    clear: async () => {
      await postgres.query('TRUNCATE TABLE onceward_operations', [], database.name)
      await redis.command('FLUSHALL')
    },
    inFlight: [64, 256],
    kinds: ['fresh', 'replay'],
    rounds: options.rounds,
    ms: options.ms,
  })
  report('tiered', 'Redis before PostgreSQL', [
    `PostgreSQL ${postgres.version} without flushing to disk, Redis ${redis.version} and one client process with a pool of ` +
      `ten connections on one machine. Median (min–max) of ${options.rounds} interleaved rounds of ${options.ms} ms; the ` +
      'ratio is the median of the ratios to PostgreSQL alone within a round. Round trips are those to PostgreSQL only.',
    ...parts,
  ])
} finally {
  await Promise.all([postgres.stop(), redis.stop()])
}
