// A Redis Cluster of three nodes: the floor and Onceward, for fresh keys, replays and storms of one key.
// Run: node bench/redis/cluster.mjs [--rounds 5] [--ms 600] (after a build)
import { fileURLToPath } from 'node:url'
import { startRedisCluster } from '../../test-servers/index.mjs'
import { readOptions } from '../lib/options.mjs'
import { report } from '../lib/report.mjs'
import { compare } from '../stores/compare.mjs'
import { contestants } from './cluster-contestants.mjs'
import { field } from './info.mjs'

const options = readOptions({ rounds: 5, ms: 600 })
const cluster = await startRedisCluster()
const onAll = (/** @type {readonly string[]} */ command) =>
  Promise.all(cluster.nodes.map((node) => node.command(...command)))
try {
  const parts = await compare({
    module: fileURLToPath(new URL('./cluster-contestants.mjs', import.meta.url)),
    contestants,
    url: cluster.urls.join(','),
    trips: async () =>
      (await onAll(['INFO', 'stats'])).reduce(
        (/** @type {number} */ sum, info) => sum + field(info, 'total_reads_processed'),
        0,
      ),
    clear: async () => void (await onAll(['FLUSHALL'])),
    inFlight: [1, 64, 512],
    targets: [64, 512].flatMap((at) =>
      ['onceward store, ioredis', 'once.run, ioredis, no cache'].flatMap((contestant) =>
        /** @type {const} */ (['fresh', 'replay']).map((kind) => ({ contestant, kind, at, atLeast: 0.8 })),
      ),
    ),
    rounds: options.rounds,
    ms: options.ms,
  })
  report('redis-cluster', 'Redis Cluster: once for each key', [
    `Redis ${cluster.version}, a cluster of ${cluster.nodes.length} nodes, and one client process on one machine, nothing ` +
      `saved to disk. Median (min–max) of ${options.rounds} interleaved rounds of ${options.ms} ms; the ratio is the median ` +
      'of the ratios to the first contestant within a round. Round trips are reads of all the sockets of the nodes for ' +
      'each operation.',
    ...parts,
  ])
} finally {
  await cluster.stop()
}
