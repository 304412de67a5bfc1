import { afterAll, beforeAll, it } from 'vitest'
import { describeWhere, startEtcd } from '../../../../../test-servers/index.mjs'
import { lockConformance, registerCases } from '../../testing/index.ts'
import { etcdLocks } from './etcd-locks.ts'

await describeWhere('etcd', 'locks in etcd', () => {
  let server: Awaited<ReturnType<typeof startEtcd>>
  let opened = 0

  beforeAll(async () => {
    server = await startEtcd()
  })
  afterAll(() => server?.stop())

  // Most of each case is waiting for a lease to lapse.
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
        maxFences: 1024,
      },
      // etcd looks for lapsed leases twice a second, and counts whole seconds.
      slackMs: 1500,
      // A call takes several writes, each of which etcd brings to the disk: next to other servers that took five seconds once.
      patienceMs: 15_000,
      model: { runs: 20 },
      async open() {
        const prefix = `onceward-${++opened}`
        const options = { prefix, timeoutMs: 15_000 }
        const backends = [etcdLocks(server.url, options), etcdLocks(server.url, options)] as const
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
