import { afterAll, beforeAll, describe, it } from 'vitest'
import { type RedisLocks, type RedisLocksOptions, redisLocks } from '../../src/locks/redis/index.ts'
import { type LockHarness, lockConformance, registerCases } from '../../src/testing/index.ts'
import { type Connect, type OpenClient, somePrefix } from './redis-suite.ts'

/** Binds the suite of locks to one way of talking to Redis: all cases share two clients, each has a prefix of its own. */
export function redisLockSuite(
  name: string,
  connect: Connect,
  options: RedisLocksOptions = {},
  { sideBySide = true }: { readonly sideBySide?: boolean } = {},
): void {
  describe(`locks in Redis by ${name}`, { timeout: 30_000 }, () => {
    let clients: readonly [OpenClient, OpenClient]
    beforeAll(async () => {
      clients = [await connect(), await connect()]
    })
    afterAll(() => {
      for (const { close } of clients) close()
    })
    const harness: LockHarness<RedisLocks> = {
      capabilities: {
        fencing: true,
        fifo: true,
        push: true,
        shared: true,
        marks: true,
        grantsPlaces: true,
        durable: true,
      },
      // The cases wait on the server's clock, and run side by side: it has to be long enough for a busy machine.
      unitMs: sideBySide ? 800 : 400,
      patienceMs: 15_000,
      model: { runs: 5 },
      async open() {
        const prefix = somePrefix()
        const backends = clients.map(({ client }) =>
          redisLocks(client, { commandTimeoutMs: 15_000, ...options, prefix }),
        )
        // The first call looks at the server: that is no time of the case.
        await Promise.all(backends.map((backend) => backend.inspect('first')))
        return {
          backends: backends as [RedisLocks, RedisLocks],
          async close() {
            await Promise.all(backends.map((backend) => backend.close()))
          },
        }
      },
    }
    registerCases(sideBySide ? it.concurrent : it, lockConformance(harness))
  })
}
