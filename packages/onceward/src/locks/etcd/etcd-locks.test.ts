import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest'
import { describeWhere, faultProxy, freePort, startEtcd } from '../../../../../test-servers/index.mjs'
import { createLocks } from '../create-locks.ts'
import type { AcquireRequest, LockBackend } from '../lock-backend.ts'
import { type EtcdLocksOptions, etcdLocks } from './etcd-locks.ts'

// On a busy machine a server takes its time for what it brings to the disk.
vi.setConfig({ testTimeout: 60_000 })

let count = 0

function asks(over: Partial<AcquireRequest> = {}): AcquireRequest {
  const token = `token-${++count}`
  return { key: 'orders', token, mode: 'exclusive', permits: 1, ttlMs: 30_000, owner: 'me', ...over }
}

async function post(
  url: string,
  path: string,
  body: object,
  token?: string,
): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
    ...(token === undefined ? {} : { headers: { authorization: token } }),
  })
  return (await response.json()) as Record<string, unknown>
}

const base64 = (text: string) => Buffer.from(text).toString('base64')

await describeWhere('etcd', 'locks in an etcd that fails', () => {
  let server: Awaited<ReturnType<typeof startEtcd>>
  let proxy: Awaited<ReturnType<typeof faultProxy>>
  const open: LockBackend[] = []

  function locks(endpoints: string | string[], options: EtcdLocksOptions = {}): LockBackend {
    const backend = etcdLocks(endpoints, { prefix: `test-${++count}`, ...options })
    open.push(backend)
    return backend
  }

  beforeAll(async () => {
    server = await startEtcd()
    proxy = await faultProxy({ target: server })
  })
  afterEach(async () => {
    await proxy.pass()
    await Promise.all(open.splice(0).map((backend) => backend.close()))
  })
  afterAll(async () => {
    await proxy?.stop()
    await server?.stop()
  })

  it('grants once when the reply to the grant is lost', async () => {
    const mine = locks(proxy.url(server.url), { prefix: 'lost-reply' })
    const other = locks(server.url, { prefix: 'lost-reply' })
    proxy.cutOnReplyTo('/v3/kv/txn')
    const request = asks({ placeMs: 5000 })
    await expect(mine.acquire(request)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
    expect(proxy.fired).toBe(1)
    const granted = await mine.acquire(request)
    const view = await other.inspect('orders')
    expect(granted).toMatchObject({ granted: true, fence: view?.holders[0]?.fence })
    expect(await mine.acquire(request)).toEqual(granted)
    expect(await mine.release(request)).toEqual({ released: true })
  })

  it('leaves nothing behind when a request that was not answered is released', async () => {
    const mine = locks(proxy.url(server.url), { prefix: 'unheard', timeoutMs: 2000 })
    const other = locks(server.url, { prefix: 'unheard' })
    await mine.inspect('orders')
    let asked = false
    proxy.onRequest((bytes) => {
      asked ||= bytes.includes('/v3/kv/txn')
      return undefined
    })
    proxy.onReply(() => (asked ? 'drop' : undefined))
    const request = asks({ placeMs: 5000 })
    await expect(mine.acquire(request)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      retryAfterMs: 1000,
    })
    await expect.poll(async () => (await other.inspect('orders'))?.holders.length).toBe(1)
    await proxy.pass()
    expect(await mine.release(request)).toEqual({ released: true })
    expect(await other.inspect('orders')).toBeUndefined()
  })

  it('does not grant a request that arrives after its release', async () => {
    const late: string[] = []
    const mine = locks(server.url, {
      prefix: 'late',
      fetch(url, init) {
        if (!url.endsWith('/v3/kv/txn') || !init.body?.includes('"request_put"')) return fetch(url, init)
        late.push(init.body)
        return Promise.reject(new Error('held up on its way'))
      },
    })
    const request = asks({ placeMs: 5000 })
    await expect(mine.acquire(request)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(await mine.release(request)).toEqual({ released: false })
    expect(late).toHaveLength(1)
    const reply = await post(server.url, '/v3/kv/txn', JSON.parse(late[0] ?? ''))
    expect(reply).toMatchObject({ error: 'etcdserver: requested lease not found' })
    expect(await mine.inspect('orders')).toBeUndefined()
  })

  it('is asked at the next endpoint when one is down or keeps silent', async () => {
    const dead = `http://127.0.0.1:${await freePort()}`
    const request = asks()
    expect(await locks([dead, server.url]).acquire(request)).toMatchObject({ granted: true })
    proxy.blackHole()
    // The second one has the other half of the time, and brings what it is asked for to the disk.
    const silent = locks([proxy.url(server.url), server.url], { timeoutMs: 6000 })
    expect(await silent.acquire(asks({ key: 'silent' }))).toMatchObject({ granted: true })
  })

  it('answers within the time when no endpoint does', async () => {
    proxy.blackHole()
    const backend = locks([proxy.url(server.url), proxy.url(server.url)], { timeoutMs: 300 })
    const begun = performance.now()
    await expect(backend.acquire(asks())).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      effect: 'none',
      message: expect.stringMatching(/cannot be reached: no answer within 150 ms/),
    })
    expect(performance.now() - begun).toBeLessThan(3000)
  })

  it('refuses what somebody else has written below the prefix', async () => {
    const backend = locks(server.url, { prefix: 'foreign' })
    const path = `foreign/lock/${Buffer.from('orders').toString('base64url')}/held/x/them`
    await post(server.url, '/v3/kv/put', { key: base64(path), value: base64('hello') })
    for (const call of [() => backend.acquire(asks()), () => backend.inspect('orders')]) {
      await expect(call()).rejects.toMatchObject({ code: 'STORE_CORRUPT', effect: 'none' })
    }
  })

  it('serves everybody once, in turn and with rising fences, over two instances', {
    timeout: 60_000,
  }, async () => {
    const instances = [0, 1].map(() =>
      createLocks(etcdLocks(server.url, { prefix: 'engine' }), { waitMs: 50_000 }),
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

  it('ends every watch that nobody listens to any more', async () => {
    const watches = new Set<string | undefined>()
    const mine = locks(server.url, {
      prefix: 'watches',
      fetch(url, init) {
        if (url.endsWith('/v3/watch')) {
          watches.add(init.body)
          init.signal.addEventListener('abort', () => watches.delete(init.body))
        }
        return fetch(url, init)
      },
    })
    const watch = async (key: string) => {
      await mine.acquire(asks({ key }))
      const waiting = asks({ key, placeMs: 20_000 })
      await mine.acquire(waiting)
      return { waiting, stop: mine.watch?.(waiting, () => {}) }
    }
    const [stopped, released, left] = [await watch('a'), await watch('b'), await watch('c')]
    await expect.poll(() => watches.size).toBe(3)
    stopped.stop?.()
    expect(watches.size).toBe(2)
    await mine.release(released.waiting)
    expect(watches.size).toBe(1)
    await mine.close()
    expect(watches.size).toBe(0)
    left.stop?.()
  })

  it('has as many wait as like to, and warns of no listeners', async () => {
    const warnings: string[] = []
    const warned = ({ name }: Error) => void warnings.push(name)
    process.on('warning', warned)
    let streams = 0
    const mine = locks(server.url, {
      prefix: 'many',
      fetch(url, init) {
        if (url.endsWith('/v3/watch')) streams++
        return fetch(url, init)
      },
    })
    await mine.acquire(asks({ key: 'k' }))
    for (let waiters = 0; waiters < 12; waiters++) {
      const waiting = asks({ key: 'k', placeMs: 20_000 })
      await mine.acquire(waiting)
      mine.watch?.(waiting, () => {})
    }
    await expect.poll(() => streams).toBeGreaterThanOrEqual(12)
    await mine.close()
    await new Promise(setImmediate)
    process.off('warning', warned)
    expect(warnings).toEqual([])
  })

  it('leaves no lease behind after waiting, extending, marking and releasing', async () => {
    const mine = locks(server.url, { prefix: 'leases' })
    // What other tests have left behind may end meanwhile.
    const before = await leasesOf(server.url)
    const held = asks()
    const waiting = asks({ placeMs: 20_000 })
    await mine.acquire(held)
    await mine.acquire(waiting)
    await mine.acquire(asks())
    expect(await mine.extend([{ ...held, ttlMs: 60_000 }])).toEqual([true])
    await mine.release(held)
    expect(await mine.acquire(waiting)).toMatchObject({ granted: true })
    await mine.release(waiting)
    await expect
      .poll(async () => (await leasesOf(server.url)).filter((lease) => !before.includes(lease)))
      .toEqual([])
  })

  it('extends more locks in one go than a transaction takes', { timeout: 60_000 }, async () => {
    const mine = locks(server.url, { prefix: 'many' })
    const held = Array.from({ length: 130 }, (_, at) => asks({ key: `order ${at}` }))
    for (let at = 0; at < held.length; at += 30) {
      await Promise.all(held.slice(at, at + 30).map((request) => mine.acquire(request)))
    }
    await mine.release(held[7] as AcquireRequest)
    const extended = await mine.extend(held)
    expect(extended.filter((kept) => !kept)).toHaveLength(1)
    expect(extended[7]).toBe(false)
  })
})

await describeWhere('etcd', 'locks in an etcd that is killed', () => {
  let server: Awaited<ReturnType<typeof startEtcd>>
  beforeAll(async () => {
    server = await startEtcd()
  })
  afterAll(() => server?.stop())

  it('are held as before when it is back, waiters are woken, and fences go on', async () => {
    const mine = etcdLocks(server.url)
    const held = asks()
    const waiting = asks({ placeMs: 30_000 })
    const first = await mine.acquire(held)
    await mine.acquire(waiting)
    let woken = 0
    const stop = mine.watch?.(waiting, () => {
      woken++
    })
    await server.kill()
    await expect(mine.extend([held])).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
    await expect(mine.release(held)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await server.restart()
    expect(await mine.extend([held])).toEqual([true])
    expect(woken).toBe(0)
    expect(await mine.release(held)).toEqual({ released: true })
    await vi.waitFor(() => expect(woken).toBeGreaterThan(0), { timeout: 10_000 })
    const second = await mine.acquire(waiting)
    expect(second.granted && first.granted && (second.fence ?? 0) > (first.fence ?? 0)).toBe(true)
    stop?.()
    await mine.close()
  })

  it('fail in time while it is stopped, and go on when it continues', async () => {
    const mine = etcdLocks(server.url, { prefix: 'paused', timeoutMs: 300 })
    const patient = etcdLocks(server.url, { prefix: 'paused' })
    const held = asks()
    await patient.acquire(held)
    await server.pause()
    try {
      await expect(mine.acquire(asks())).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    } finally {
      await server.resume()
    }
    await vi.waitFor(async () => expect(await mine.extend([held])).toEqual([true]), { timeout: 15_000 })
    await Promise.all([mine.close(), patient.close()])
  })
})

await describeWhere('etcd', 'locks in an etcd with users', () => {
  let server: Awaited<ReturnType<typeof startEtcd>>
  const auth = { user: 'locks', password: 'p:w/d' }

  beforeAll(async () => {
    server = await startEtcd()
    const call = (path: string, body: object) => post(server.url, `/v3/auth/${path}`, body)
    await call('user/add', { name: 'root', password: 'r' })
    await call('user/add', { name: auth.user, password: auth.password })
    await call('role/add', { name: 'root' })
    await call('role/add', { name: 'locks' })
    const below = { key: base64('mine/'), range_end: base64('mine0'), permType: 'READWRITE' }
    await call('role/grant', { name: 'locks', perm: below })
    await call('user/grant', { user: 'root', role: 'root' })
    await call('user/grant', { user: auth.user, role: 'locks' })
    await call('enable', {})
  })
  afterAll(() => server?.stop())

  it('work for a user who may do nothing else, and again after its log-in was forgotten', async () => {
    const mine = etcdLocks(server.url, { prefix: 'mine', auth })
    const held = asks()
    const waiting = asks({ placeMs: 20_000 })
    expect(await mine.acquire(held)).toMatchObject({ granted: true })
    expect(await mine.acquire(waiting)).toMatchObject({ granted: false })
    expect(await mine.extend([held])).toEqual([true])
    expect(await mine.mark?.(held, 'tick 1', 60_000)).toBe(true)
    expect(await mine.inspect('orders')).toMatchObject({ waiting: 1, mark: 'tick 1' })
    await server.restart()
    let woken = 0
    const stop = mine.watch?.(waiting, () => {
      woken++
    })
    expect(await mine.forceRelease({ key: 'orders', by: 'ada', reason: 'it hangs' })).toBe(1)
    await vi.waitFor(() => expect(woken).toBe(1), { timeout: 10_000 })
    expect(await mine.acquire(waiting)).toMatchObject({ granted: true, mark: 'tick 1' })
    expect(await mine.release(waiting)).toEqual({ released: true })
    stop?.()
    await mine.close()
  })

  it('take the user from the URL too', async () => {
    const url = server.url.replace('http://', 'http://locks:p%3Aw%2Fd@')
    const mine = etcdLocks(url, { prefix: 'mine' })
    expect(await mine.acquire(asks({ key: 'by url' }))).toMatchObject({ granted: true })
    await mine.close()
  })

  it.each([
    ['without a user', {}, /pass `auth`/],
    ['with a wrong password', { auth: { user: 'locks', password: 'guess' } }, /password of `auth` is wrong/],
    ['below another prefix', { auth, prefix: 'theirs' }, /readwrite on everything below the prefix/],
  ])('are refused %s', async (_, options, message) => {
    const mine = etcdLocks(server.url, { prefix: 'mine', ...options })
    await expect(mine.acquire(asks({ key: 'refused' }))).rejects.toMatchObject({
      code: 'STORE_MISCONFIGURED',
      effect: 'none',
      message: expect.stringMatching(message),
    })
    await mine.close()
  })
})

await describeWhere('etcd', 'locks in an etcd without users or room', () => {
  it('are refused to one who logs in where nobody can', async () => {
    await using server = await startEtcd()
    const mine = etcdLocks(server.url, { auth: { user: 'a', password: 'b' } })
    await expect(mine.acquire(asks())).rejects.toMatchObject({
      code: 'STORE_MISCONFIGURED',
      message: expect.stringContaining('leave out `auth`'),
    })
    await mine.close()
  })

  it('are refused with the mend when its quota is used up', async () => {
    await using server = await startEtcd({ flags: ['--quota-backend-bytes', '200000'] })
    const mine = etcdLocks(server.url)
    await post(server.url, '/v3/kv/put', { key: base64('big'), value: base64('x'.repeat(300_000)) })
    await expect(mine.acquire(asks())).rejects.toMatchObject({ code: 'STORE_FULL', effect: 'none' })
    await mine.close()
  })
})

async function leasesOf(url: string): Promise<readonly string[]> {
  const { leases = [] } = (await post(url, '/v3/lease/leases', {})) as { leases?: { ID: string }[] }
  return leases.map(({ ID }) => ID)
}
