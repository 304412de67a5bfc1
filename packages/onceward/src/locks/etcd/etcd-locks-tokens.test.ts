import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWhere, startEtcd } from '../../../../../test-servers/index.mjs'
import type { AcquireRequest } from '../lock-backend.ts'
import { etcdLocks } from './etcd-locks.ts'

await describeWhere('etcd', 'a token of locks in etcd', () => {
  let server: Awaited<ReturnType<typeof startEtcd>>
  beforeAll(async () => {
    server = await startEtcd()
  })
  afterAll(() => server?.stop())

  function asks(over: Partial<AcquireRequest>): AcquireRequest {
    return {
      key: 'orders',
      token: 'mine',
      mode: 'exclusive',
      permits: 1,
      ttlMs: 30_000,
      owner: 'me',
      placeMs: 5000,
      ...over,
    }
  }

  it('keeps its grant as a reader when it asks again, on whichever connection', async () => {
    const [one, other] = [etcdLocks(server.url), etcdLocks(server.url)]
    const reader = asks({ key: 'read', mode: 'shared', permits: Infinity })
    const first = await one.acquire(reader)
    expect(first).toMatchObject({ granted: true })
    for (const each of [one, other, one]) expect(await each.acquire(reader)).toEqual(first)
    await Promise.all([one.close(), other.close()])
  })

  it('is extended by each connection that knows it, whoever has given it a lease', async () => {
    const [one, other] = [etcdLocks(server.url), etcdLocks(server.url)]
    const held = asks({ key: 'extended' })
    await one.acquire(held)
    for (const [each, ttlMs] of [
      [other, 60_000],
      [one, 30_000],
      [other, 60_000],
    ] as const) {
      expect(await each.extend([{ key: held.key, token: held.token, ttlMs }])).toEqual([true])
    }
    expect(await one.release(held)).toEqual({ released: true })
    expect(await other.extend([held])).toEqual([false])
    await Promise.all([one.close(), other.close()])
  })
})
