import { describeWith } from '../../../../../test-servers/index.mjs'
import { redisSuite, SINGLE } from '../../../test/redis/redis-suite.ts'

await describeWith('redis', 'on a single server', ({ redis }) => {
  redisSuite('node-redis', SINGLE['node-redis'](redis.url))
  redisSuite('ioredis', SINGLE.ioredis(redis.url))
  redisSuite('ioredis, one transition a call', SINGLE.ioredis(redis.url), { maxBatch: 1 })
})
