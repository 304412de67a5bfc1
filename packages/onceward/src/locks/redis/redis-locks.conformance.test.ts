import { describeWith } from '../../../../../test-servers/index.mjs'
import { redisLockSuite } from '../../../test/redis/lock-suite.ts'
import { SINGLE } from '../../../test/redis/redis-suite.ts'

await describeWith('redis', 'on a single server', ({ redis }) => {
  redisLockSuite('node-redis', SINGLE['node-redis'](redis.url))
  redisLockSuite('ioredis', SINGLE.ioredis(redis.url))
})
