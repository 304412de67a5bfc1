import { afterAll, beforeAll } from 'vitest'
import { describeWhere, type RedisCluster, startRedisCluster } from '../../../../../test-servers/index.mjs'
import { CLUSTER, redisSuite } from '../../../test/redis/redis-suite.ts'

await describeWhere('redis', 'on a cluster of three nodes', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await startRedisCluster()
  }, 60_000)
  afterAll(() => cluster?.stop())
  redisSuite('node-redis', () => CLUSTER['node-redis'](cluster.nodes)())
  redisSuite('ioredis', () => CLUSTER.ioredis(cluster.nodes)())
})
