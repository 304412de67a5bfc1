import { createRequire } from 'node:module'
import { afterAll, beforeAll, it } from 'vitest'
import { describeWhere, startZookeeper } from '../../../../../test-servers/index.mjs'
import { lockConformance, registerCases } from '../../testing/index.ts'
import type { ZookeeperClient } from './zookeeper-client.ts'
import { zookeeperLocks } from './zookeeper-locks.ts'

// The client has no types.
const require = createRequire(import.meta.url)
const { createClient } = require('node-zookeeper-client') as {
  createClient(
    servers: string,
    options: object,
  ): ZookeeperClient & { connect(): void; close(): void; once(event: string, listener: () => void): void }
}

await describeWhere('zookeeper', 'locks in ZooKeeper', () => {
  let server: Awaited<ReturnType<typeof startZookeeper>>
  let opened = 0
  const clients: ReturnType<typeof createClient>[] = []

  beforeAll(async () => {
    server = await startZookeeper()
    for (let at = 0; at < 2; at++) {
      const client = createClient(server.url, { sessionTimeout: 7_200_000 })
      clients.push(client)
      await new Promise<void>((resolve) => {
        client.once('connected', resolve)
        client.connect()
      })
    }
  })
  afterAll(async () => {
    for (const client of clients) client.close()
    await server?.stop()
  })

  registerCases(
    it.concurrent,
    lockConformance({
      capabilities: {
        fencing: true,
        fifo: true,
        push: true,
        shared: true,
        marks: true,
        grantsPlaces: false,
        durable: true,
        maxFences: 1,
      },
      unitMs: 600,
      patienceMs: 15_000,
      async open() {
        const prefix = `/onceward-${++opened}`
        const [one, other] = clients
        if (!one || !other) throw new Error('there is no client')
        // All cases run side by side, and each write is brought to the disk.
        const options = { prefix, timeoutMs: 15_000 }
        const backends = [zookeeperLocks(one, options), zookeeperLocks(other, options)] as const
        return {
          backends,
          async close() {
            for (const backend of backends) await backend.close()
          },
        }
      },
    }),
  )
})
