// Redis: the floor, the peers and Onceward, for fresh keys, replays and storms of one key.
// Run: node bench/redis/run.mjs [--rounds 5] [--ms 600] [--only onceward] (after a build)
import { fileURLToPath } from 'node:url'
import { startRedis } from '../../test-servers/index.mjs'
import { readOptions } from '../lib/options.mjs'
import { report } from '../lib/report.mjs'
import { compare } from '../stores/compare.mjs'
import { contestants } from './contestants.mjs'
import { field } from './info.mjs'

const options = readOptions({ rounds: 5, ms: 600, only: '' })
const chosen = contestants.filter(({ name }, index) => index === 0 || name.includes(options.only))
const server = await startRedis()
try {
  const parts = await compare({
    module: fileURLToPath(new URL('./contestants.mjs', import.meta.url)),
    contestants: chosen,
    url: server.url,
    // Reads of the server's sockets: what was sent together is read together.
    trips: async () => field(await server.command('INFO', 'stats'), 'total_reads_processed'),
    clear: async () => void (await server.command('FLUSHALL')),
    inFlight: [1, 64, 512],
    targets: [64, 512].flatMap((at) =>
      ['onceward store, ioredis', 'once.run, ioredis, no cache'].flatMap((contestant) => [
        { contestant, kind: 'fresh', at, atLeast: 1.25 },
        { contestant, kind: 'replay', at, atLeast: 1.4 },
      ]),
    ),
    rounds: options.rounds,
    ms: options.ms,
  })
  report('redis', 'Redis: once for each key', [
    `Redis ${server.version} and one client process on one machine, nothing saved to disk. Median (min–max) of ` +
      `${options.rounds} interleaved rounds of ${options.ms} ms; the ratio is the median of the ratios to the first ` +
      'contestant within a round. Round trips are reads of the server’s sockets for each operation. Replays go round 2,000 ' +
      'keys; those *again in one process* round 500, which fit its cache. By hand, duplicates of a storm are turned away; ' +
      '`once.run` gives each the result.',
    ...parts,
  ])
} finally {
  await server.stop()
}
