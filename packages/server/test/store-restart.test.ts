import { afterEach, expect, it } from 'vitest'
import {
  describeWhere,
  startMariadb,
  startPostgres,
  startRedis,
  type TestServer,
} from '../../../test-servers/index.mjs'
import { command } from './support/in-process.ts'
import { workshop } from './support/processes.ts'
import { startUpstream, until } from './support/servers.ts'

/** Servers of our own, durable enough to be killed: what they have answered they still know when they are back. */
const KINDS = [
  {
    name: 'redis',
    start: async () => {
      const server = await startRedis({ persistence: 'aof' })
      return { server: server as TestServer, url: server.url }
    },
  },
  {
    name: 'postgres',
    start: async () => {
      const server = await startPostgres({ durable: true })
      return { server: server as TestServer, url: (await server.createDatabase()).url }
    },
  },
  {
    name: 'mariadb',
    start: async () => {
      const server = await startMariadb({ durable: true })
      return { server: server as TestServer, url: (await server.createDatabase()).url }
    },
  },
] as const

for (const { name, start } of KINDS) {
  await describeWhere(name, `gateway processes whose ${name} is killed under load`, () => {
    const shop = workshop()
    afterEach(() => shop.clear())

    it('refuse while it is gone, go on by themselves when it is back, and let nothing happen twice', async () => {
      const charged = new Map<string, number>()
      const upstream = await startUpstream(async ({ headers }, response) => {
        const key = String(headers['idempotency-key'])
        charged.set(key, (charged.get(key) ?? 0) + 1)
        await new Promise((resolve) => setTimeout(resolve, 5))
        response.writeHead(201).end(`receipt of ${key}`)
      })
      shop.after(() => upstream.close())
      const { server, url: store } = await start()
      shop.after(() => server.stop())
      expect(await command(['migrate', '--store', store])).toMatchObject({ code: 0, stderr: '' })
      const args = [
        '--upstream',
        upstream.url,
        '--scope',
        'public',
        '--store',
        store,
        // Longer than a disk stands still: only what ran when the server died may lapse.
        '--lease-ms',
        '3000',
        '--store-timeout-ms',
        '1500',
      ]
      const gateways = await Promise.all([1, 2, 3].map(() => shop.gateway([...args, '--wait-ms', '500'])))

      const statuses = new Map<number, number>()
      const settled = new Map<string, string>()
      let stopped = false
      let sent = 0
      /** One client that sends a key again and again, to any gateway, until it is told what became of it. */
      const client = async () => {
        while (!stopped) {
          const key = `key-${sent++}`
          while (!settled.has(key)) {
            const gateway = gateways[Math.floor(Math.random() * 3)]?.url ?? ''
            const answer = await fetch(gateway, {
              method: 'POST',
              headers: { 'Idempotency-Key': key },
            })
            const text = await answer.text()
            statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
            if (answer.status === 201) settled.set(key, text)
            else if (text.includes('outcome-unknown')) settled.set(key, 'held')
            else {
              expect([409, 503]).toContain(answer.status)
              expect(JSON.parse(text)).toMatchObject({ retryable: true, effect: 'none' })
              await new Promise((resolve) => setTimeout(resolve, 20))
            }
          }
        }
      }
      const clients = Promise.all(Array.from({ length: 12 }, client))
      await until(() => settled.size > 100, 30_000)
      await server.kill('SIGKILL')
      await until(() => (statuses.get(503) ?? 0) > 0, 30_000)
      await server.restart()
      const before = settled.size
      await until(() => settled.size > before + 100, 30_000)
      stopped = true
      await clients

      expect([...charged.values()].filter((count) => count > 1)).toEqual([])
      for (const [key, outcome] of settled) expect([`receipt of ${key}`, 'held']).toContain(outcome)
      const held = [...settled.values()].filter((outcome) => outcome === 'held').length
      // What ran when the server died may be held; everything else got its receipt.
      expect(held).toBeLessThanOrEqual(12)
      for (const gateway of gateways) {
        await expect.poll(() => gateway.stderr()).toContain('the connection to the store')
        gateway.child.kill('SIGTERM')
        expect((await gateway.ended).code).toBe(0)
      }
    }, 120_000)
  })
}
