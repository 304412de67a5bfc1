import { afterAll, beforeAll } from 'vitest'
import { describeWhere, type RedisSentinel, startRedisSentinel } from '../../../../../test-servers/index.mjs'
import { redisLockSuite } from '../../../test/redis/lock-suite.ts'
import { SENTINEL } from '../../../test/redis/redis-suite.ts'

await describeWhere('redis', 'behind Sentinel', () => {
  let sentinel: RedisSentinel
  beforeAll(async () => {
    sentinel = await startRedisSentinel()
  }, 60_000)
  afterAll(() => sentinel?.stop())
  redisLockSuite(
    'ioredis, each grant acknowledged by a replica',
    () => SENTINEL.ioredis(sentinel.name, sentinel.sentinels)(),
    { wait: { replicas: 1, timeoutMs: 15_000 } },
  )
  // A sentinel client of node-redis takes long to make, and holds up what runs beside.
  redisLockSuite(
    'node-redis',
    () => SENTINEL['node-redis'](sentinel.name, sentinel.sentinels)(),
    {},
    { sideBySide: false },
  )
})
