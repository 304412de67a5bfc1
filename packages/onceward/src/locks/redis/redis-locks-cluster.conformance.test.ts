import { afterAll, beforeAll } from 'vitest'
import { describeWhere, type RedisCluster, startRedisCluster } from '../../../../../test-servers/index.mjs'
import { redisLockSuite } from '../../../test/redis/lock-suite.ts'
import { CLUSTER } from '../../../test/redis/redis-suite.ts'

await describeWhere('redis', 'on a cluster of three nodes', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await startRedisCluster()
  }, 60_000)
  afterAll(() => cluster?.stop())
  redisLockSuite('node-redis', () => CLUSTER['node-redis'](cluster.nodes)())
  redisLockSuite('ioredis', () => CLUSTER.ioredis(cluster.nodes)())
})
