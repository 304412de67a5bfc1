import { randomUUID } from 'node:crypto'
import { type OperationId, operationId } from 'onceward'
import { expect, it } from 'vitest'
import { describeWhere, startRedisCluster, startRedisSentinel } from '../../../test-servers/index.mjs'
import type { CatalogStore } from '../src/store/catalog-store.ts'
import { createStore } from '../src/store/create-store.ts'
import { until } from './support/servers.ts'

const value = { kind: 'value', value: new TextEncoder().encode('receipt') } as const
const asks = (id: OperationId) => ({
  id,
  owner: randomUUID(),
  leaseMs: 60_000,
  retentionMs: 60_000,
  onCrash: 'hold' as const,
})

/** Runs an operation through the store and asks for it again. */
async function endsOnce(store: CatalogStore, key: string): Promise<void> {
  const id = operationId('topologies', key)
  const reply = await store.claim(asks(id))
  if (reply.state !== 'claimed') throw new Error(`${key} is ${reply.state}`)
  expect(await store.complete(reply.claim, value, 60_000)).toBe(true)
  expect(await store.claim(asks(id))).toMatchObject({ state: 'done' })
}

await describeWhere('redis', 'a store by its URL', () => {
  it('follows the primary that Sentinel names, over a failover', async () => {
    const lost: string[] = []
    const sentinel = await startRedisSentinel({ password: 'pass/word' })
    try {
      // Sentinels of the harness ask for no password; the nodes do.
      const url = new URL(sentinel.url.replace('redis+sentinel:', 'http:').replace(/,[^/]*/, ''))
      const store = await createStore(
        `redis+sentinel://:pass%2Fword@${url.hostname}:${url.port}/${sentinel.name}?prefix=t`,
        { create: false, onConnection: (state) => lost.push(state) },
      )
      await endsOnce(store, 'before')
      await sentinel.failover()
      await until(
        () =>
          endsOnce(store, `after-${randomUUID()}`).then(
            () => true,
            () => false,
          ),
        30_000,
      )
      expect((await store.doctor()).some(({ level, check }) => check === 'role' && level === 'fail')).toBe(
        false,
      )
      await store.close()
    } finally {
      await sentinel.stop()
    }
  }, 90_000)

  it('reaches every node of a cluster from any of them', async () => {
    const cluster = await startRedisCluster({ password: 'pass/word' })
    try {
      const [first] = cluster.nodes
      const store = await createStore(
        `redis+cluster://:pass%2Fword@127.0.0.1:1,${first?.host}:${first?.port}`,
        {
          create: false,
        },
      )
      for (let key = 0; key < 20; key++) await endsOnce(store, `k${key}`)
      expect((await store.list({})).records).toHaveLength(20)
      await store.close()
    } finally {
      await cluster.stop()
    }
  }, 60_000)
})
