import { createRequire } from 'node:module'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { describeWhere, faultProxy, freePort, startZookeeper } from '../../../../../test-servers/index.mjs'
import { createLocks } from '../create-locks.ts'
import type { AcquireRequest } from '../lock-backend.ts'
import type { ZookeeperClient } from './zookeeper-client.ts'
import { type ZookeeperLocksOptions, zookeeperLocks } from './zookeeper-locks.ts'

// On a busy machine a server takes its time for what it brings to the disk.
vi.setConfig({ testTimeout: 60_000 })

interface Client extends ZookeeperClient {
  connect(): void
  close(): void
  once(event: string, listener: () => void): void
  addAuthInfo(scheme: string, auth: Buffer): void
}

// The client has no types.
const require = createRequire(import.meta.url)
const { ACL, createClient } = require('node-zookeeper-client') as {
  ACL: { CREATOR_ALL_ACL: readonly unknown[] }
  createClient(servers: string, options?: object): Client
}

let count = 0

function asks(over: Partial<AcquireRequest> = {}): AcquireRequest {
  const token = `token-${++count}`
  return { key: 'orders', token, mode: 'exclusive', permits: 1, ttlMs: 10_000, owner: 'me', ...over }
}

describe('zookeeperLocks before it asks anybody', () => {
  it.each([undefined, null, 'localhost:2181', {}])('refuses %j as a client', (client) => {
    expect(() => zookeeperLocks(client as unknown as ZookeeperClient)).toThrow(/node-zookeeper-client/)
  })

  it('refuses options that it does not know, and prefixes that are no plain path', () => {
    const client = createClient('127.0.0.1:1')
    const locks = (options: object) => () => zookeeperLocks(client, options as ZookeeperLocksOptions)
    expect(locks({ prefx: '/a' })).toThrow(/unknown field "prefx"/)
    for (const prefix of ['', '/', 'onceward', '/a/', '/a/../b', '/a b']) {
      expect(locks({ prefix })).toThrow(/must be a path such as/)
    }
    expect(locks({ timeoutMs: 0 })).toThrow(/timeoutMs/)
  })

  it('refuses a ttl beyond the session, and a reserve of fences', async () => {
    const locks = zookeeperLocks(createClient('127.0.0.1:1', { sessionTimeout: 10_000 }))
    await expect(locks.acquire(asks({ ttlMs: 10_001 }))).rejects.toThrow(
      /ttlMs \(10001\) must not be longer than the session of the ZooKeeper client \(10000 ms\)/,
    )
    await expect(locks.acquire(asks({ fences: 2 }))).rejects.toThrow(/one fence, not 2/)
  })

  it('says in time that a client is not connected', async () => {
    const client = createClient(`127.0.0.1:${await freePort()}`)
    const locks = zookeeperLocks(client, { timeoutMs: 50 })
    await expect(locks.acquire(asks())).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      effect: 'none',
      message: expect.stringContaining('check that the client is connected'),
    })
  })
})

await describeWhere('zookeeper', 'locks in a ZooKeeper that fails', () => {
  let server: Awaited<ReturnType<typeof startZookeeper>>
  let proxy: Awaited<ReturnType<typeof faultProxy>>
  const clients: Client[] = []

  async function connected(url: string, sessionTimeout = 15_000, auth?: string): Promise<Client> {
    const client = createClient(url, { sessionTimeout, spinDelay: 50 })
    clients.push(client)
    if (auth !== undefined) client.addAuthInfo('digest', Buffer.from(auth))
    await new Promise<void>((resolve) => {
      client.once('connected', resolve)
      client.connect()
    })
    return client
  }
  const exists = (client: Client, path: string) =>
    new Promise<boolean>((resolve) =>
      client.exists(
        path,
        () => {},
        (_, stat) => resolve(Boolean(stat)),
      ),
    )
  const viaProxy = () => proxy.url(`tcp://${server.url}`).replace('tcp://', '')

  beforeAll(async () => {
    server = await startZookeeper()
    proxy = await faultProxy({ target: server })
  })
  afterEach(async () => {
    await proxy.pass()
    for (const client of clients.splice(0)) client.close()
  })
  afterAll(async () => {
    await proxy?.stop()
    await server?.stop()
  })

  it('are lost with the session: extensions answer false, another is woken and granted, the fence is greater', {
    timeout: 60_000,
  }, async () => {
    const other = zookeeperLocks(await connected(server.url), { prefix: '/session' })
    // From here on the session has to outlast what comes before the network fails, on a busy machine too.
    const client = await connected(viaProxy(), 4000)
    const mine = zookeeperLocks(client, { prefix: '/session', timeoutMs: 300 })
    const patient = zookeeperLocks(client, { prefix: '/session' })
    const held = asks({ ttlMs: 4000 })
    const first = await patient.acquire(held)
    const waiting = asks({ placeMs: 10_000 })
    expect(await other.acquire(waiting)).toMatchObject({ granted: false })
    let woken = 0
    const stop = other.watch?.(waiting, () => {
      woken++
    })
    proxy.blackHole()
    await expect(mine.extend([held])).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
    await vi.waitFor(() => expect(woken).toBe(1), { timeout: 20_000 })
    const second = await other.acquire(waiting)
    expect(first.granted && second.granted && (second.fence ?? 0) > (first.fence ?? 0)).toBe(true)
    const expired = new Promise<void>((resolve) => client.once('expired', resolve))
    await proxy.pass()
    await expired
    expect(await mine.extend([held])).toEqual([false])
    await expect(mine.acquire(asks({ ttlMs: 1000 }))).rejects.toMatchObject({
      code: 'CLOSED',
      effect: 'none',
      message: expect.stringContaining('make a new client and new locks'),
    })
    expect((await other.inspect('orders'))?.holders).toHaveLength(1)
    stop?.()
  })

  it('are granted once when the reply to the grant is lost', async () => {
    const mine = zookeeperLocks(await connected(viaProxy()), { prefix: '/lost' })
    const request = asks({ placeMs: 5000 })
    await mine.inspect('orders')
    proxy.cutOnReplyTo(`h-${request.token}`)
    await expect(mine.acquire(request)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
    expect(proxy.fired).toBe(1)
    const granted = await mine.acquire(request)
    const view = await mine.inspect('orders')
    expect(view?.holders).toHaveLength(1)
    expect(granted).toMatchObject({ granted: true, fence: view?.holders[0]?.fence })
    expect(await mine.acquire(request)).toEqual(granted)
  })

  it('undo by a release what was still on its way', async () => {
    const client = await connected(viaProxy())
    const mine = zookeeperLocks(client, { prefix: '/late', timeoutMs: 200 })
    const other = zookeeperLocks(await connected(server.url), { prefix: '/late' })
    await zookeeperLocks(client, { prefix: '/late' }).inspect('orders')
    const arrived: string[] = []
    proxy.onRequest((bytes) => {
      arrived.push(bytes.toString('latin1'))
      return 'hold'
    })
    const request = asks()
    await expect(mine.acquire(request)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(mine.release(request)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(arrived.join('')).toContain(`h-${request.token}`)
    await proxy.pass()
    // All that was held up comes first, which may take longer than a call may.
    const released = await vi.waitFor(() => mine.release(request), { timeout: 15_000 })
    expect(released).toEqual({ released: expect.any(Boolean) })
    expect(await other.inspect('orders')).toBeUndefined()
  })

  it('serve everybody once, in turn and with rising fences, over two instances', {
    timeout: 60_000,
  }, async () => {
    const clients = [await connected(server.url), await connected(server.url)]
    const instances = clients.map((client) =>
      createLocks(zookeeperLocks(client, { prefix: '/engine' }), { ttlMs: 10_000, waitMs: 50_000 }),
    )
    let inside = 0
    const fences: number[] = []
    const work = instances.flatMap((each) =>
      Array.from({ length: 10 }, () =>
        each.using('orders', async (lease) => {
          expect(++inside).toBe(1)
          fences.push(lease.fence)
          await Promise.resolve()
          inside--
        }),
      ),
    )
    await Promise.all(work)
    expect(fences).toHaveLength(20)
    expect(fences).toEqual([...new Set(fences)].sort((one, other) => one - other))
    for (const each of instances) await each.close()
  })

  it('leave no node behind that nobody needs, and keep one that has a mark', async () => {
    const client = await connected(server.url)
    const mine = zookeeperLocks(client, { prefix: '/nodes' })
    const path = (key: string) => `/nodes/lock/${Buffer.from(key).toString('base64url')}`
    const held = asks()
    await mine.acquire(held)
    expect(await exists(client, path('orders'))).toBe(true)
    await mine.release(held)
    expect(await exists(client, path('orders'))).toBe(false)
    const marked = asks({ key: 'job' })
    await mine.acquire(marked)
    await mine.mark?.(marked, 'tick 7', 60_000)
    await mine.release(marked)
    expect(await mine.acquire(asks({ key: 'job' }))).toMatchObject({ granted: true, mark: 'tick 7' })
  })

  it('are refused to a client that may not write there, with the mend', async () => {
    const acls = ACL.CREATOR_ALL_ACL
    const mine = zookeeperLocks(await connected(server.url, 15_000, 'me:secret'), { prefix: '/closed', acls })
    const theirs = zookeeperLocks(await connected(server.url), { prefix: '/closed' })
    expect(await mine.acquire(asks())).toMatchObject({ granted: true })
    await expect(theirs.acquire(asks())).rejects.toMatchObject({
      code: 'STORE_MISCONFIGURED',
      effect: 'none',
      message: expect.stringContaining('client.addAuthInfo'),
    })
  })

  it('refuse what somebody else has written below the prefix', async () => {
    const client = await connected(server.url)
    const mine = zookeeperLocks(client, { prefix: '/foreign' })
    const held = asks()
    await mine.acquire(held)
    const path = `/foreign/lock/${Buffer.from('orders').toString('base64url')}/h-${held.token}`
    await new Promise((resolve) => client.setData(path, Buffer.from('hello'), -1, resolve))
    await expect(mine.inspect('orders')).rejects.toMatchObject({ code: 'STORE_CORRUPT', effect: 'none' })
  })

  it('are held as before when the server is back, and fences go on', { timeout: 60_000 }, async () => {
    // A server that starts on a busy machine takes its time, and the lock has to last for as long.
    const mine = zookeeperLocks(await connected(viaProxy(), 60_000), { prefix: '/restart' })
    const held = asks({ ttlMs: 60_000 })
    const first = await mine.acquire(held)
    const waiting = asks({ placeMs: 60_000 })
    await mine.acquire(waiting)
    // A server that is only just starting can leave this client waiting for a reply to its first words for ever.
    await proxy.down()
    await server.restart()
    await proxy.pass()
    await vi.waitFor(async () => expect(await mine.extend([held])).toEqual([true]), { timeout: 40_000 })
    expect(await mine.release(held)).toEqual({ released: true })
    const second = await mine.acquire(waiting)
    expect(first.granted && second.granted && (second.fence ?? 0) > (first.fence ?? 0)).toBe(true)
  })
})
