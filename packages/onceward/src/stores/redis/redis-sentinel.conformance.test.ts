import { afterAll, beforeAll } from 'vitest'
import { describeWhere, type RedisSentinel, startRedisSentinel } from '../../../../../test-servers/index.mjs'
import { redisSuite, SENTINEL } from '../../../test/redis/redis-suite.ts'

await describeWhere('redis', 'behind Sentinel', () => {
  let sentinel: RedisSentinel
  beforeAll(async () => {
    sentinel = await startRedisSentinel()
    // No case is about a failover, and a machine that stands still for half a second must not bring one about.
    for (const one of sentinel.sentinels)
      await one.command('SENTINEL', 'SET', sentinel.name, 'down-after-milliseconds', '60000')
  }, 60_000)
  afterAll(() => sentinel?.stop())
  redisSuite(
    'ioredis, each answer acknowledged by a replica',
    () => SENTINEL.ioredis(sentinel.name, sentinel.sentinels)(),
    { wait: { replicas: 1, timeoutMs: 10_000 } },
  )
  // A sentinel client of node-redis takes long to make, a second and more on a busy machine, and holds up what runs beside.
  redisSuite(
    'node-redis',
    () => SENTINEL['node-redis'](sentinel.name, sentinel.sentinels)(),
    { wait: { replicas: 1, timeoutMs: 10_000 }, commandTimeoutMs: 20_000 },
    { sideBySide: false },
  )
})
