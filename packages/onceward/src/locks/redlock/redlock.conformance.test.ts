import { afterAll, beforeAll, describe, it } from 'vitest'
import { describeWhere, type RedisServer, startRedis } from '../../../../../test-servers/index.mjs'
import { type OpenClient, SINGLE, somePrefix } from '../../../test/redis/redis-suite.ts'
import { lockConformance, registerCases } from '../../testing/index.ts'
import { redlock } from './index.ts'

await describeWhere('redis', 'on three servers', () => {
  let servers: readonly RedisServer[]
  beforeAll(async () => {
    servers = await Promise.all([startRedis(), startRedis(), startRedis()])
  })
  afterAll(async () => {
    for (const server of servers) await server.stop()
  })
  for (const name of ['node-redis', 'ioredis'] as const) {
    describe(`redlock by ${name}`, { timeout: 30_000 }, () => {
      let clients: readonly (readonly OpenClient[])[]
      beforeAll(async () => {
        const connected = () => Promise.all(servers.map(({ url }) => SINGLE[name](url)()))
        clients = [await connected(), await connected()]
      })
      afterAll(() => {
        for (const { close } of clients.flat()) close()
      })
      registerCases(
        it.concurrent,
        lockConformance({
          capabilities: {
            fencing: false,
            fifo: false,
            push: false,
            shared: false,
            marks: false,
            grantsPlaces: false,
            durable: true,
          },
          unitMs: 800,
          patienceMs: 10_000,
          model: { runs: 5 },
          async open() {
            const prefix = somePrefix()
            const backends = clients.map((some) =>
              redlock(
                some.map(({ client }) => client),
                // The rules are asked for here, not haste: the machine may be busy.
                { prefix, commandTimeoutMs: 15_000 },
              ),
            )
            await Promise.all(backends.map((backend) => backend.inspect('first')))
            return {
              backends: backends as [(typeof backends)[0], (typeof backends)[0]],
              async close() {
                await Promise.all(backends.map((backend) => backend.close()))
              },
            }
          },
        }),
      )
    })
  }
})
