import { afterAll, beforeAll } from 'vitest'
import { describeWhere, type RedisCluster, startRedisCluster } from '../../../../../test-servers/index.mjs'
import { CLUSTER, redisSuite } from '../../../test/redis/redis-suite.ts'

await describeWhere('redis', 'on a cluster of three nodes', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    // No case is about a node that fails, and one that stands still for a while must not be taken for one.
    cluster = await startRedisCluster({ config: { 'cluster-node-timeout': '60000' } })
  }, 60_000)
  afterAll(() => cluster?.stop())
  redisSuite('node-redis', () => CLUSTER['node-redis'](cluster.nodes)())
  redisSuite('ioredis', () => CLUSTER.ioredis(cluster.nodes)())
})
