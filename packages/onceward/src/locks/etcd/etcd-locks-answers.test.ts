import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import type { AcquireRequest } from '../lock-backend.ts'
import { type EtcdLocksOptions, etcdLocks } from './etcd-locks.ts'

function asks(over: Partial<AcquireRequest> = {}): AcquireRequest {
  return { key: 'orders', token: 'mine', mode: 'exclusive', permits: 1, ttlMs: 30_000, owner: 'me', ...over }
}

describe('etcdLocks before it asks anybody', () => {
  it.each([
    [[], /at least one client URL/],
    ['', /http or https URL/],
    ['localhost:2379', /http or https URL/],
    ['redis://127.0.0.1', /http or https URL/],
    ['http://127.0.0.1:2379/?a=b', /without a query/],
    [['http://127.0.0.1:2379', 7], /http or https URL/],
  ])('refuses %j as endpoints', (endpoints, message) => {
    expect(() => etcdLocks(endpoints as string)).toThrow(message)
    expect(() => etcdLocks(endpoints as string)).toThrow(TypeError)
  })

  it('shows no password, neither in a refusal nor in where', () => {
    expect(() => etcdLocks('ftp://me:s3cret@host')).toThrow(/^(?!.*s3cret)/)
    expect(etcdLocks('http://me:s3cret@host:2379').where).toBe('etcd at host:2379')
  })

  it('refuses options that it does not know, and prefixes that etcd would sort elsewhere', () => {
    expect(() => etcdLocks('http://h', { prefx: 'a' } as EtcdLocksOptions)).toThrow(/unknown field "prefx"/)
    expect(() => etcdLocks('http://h', { prefix: 'a/' })).toThrow(/without a "\/" at the end/)
    expect(() => etcdLocks('http://h', { timeoutMs: 0 })).toThrow(/timeoutMs/)
  })

  it('refuses more fences than a revision has', async () => {
    await expect(etcdLocks('http://h').acquire(asks({ fences: 1025 }))).rejects.toThrow(/at most 1024/)
  })
})

describe('something that is not etcd 3.4', () => {
  async function answering(
    reply: (path: string) => [status: number, body: string],
    use: (url: string) => Promise<void>,
  ) {
    const server = createServer((request, response) => {
      const [status, body] = reply(request.url ?? '')
      request.resume().on('end', () => response.writeHead(status).end(body))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  }

  it('is named with its version when its API is older', () =>
    answering(
      (path) =>
        path === '/version'
          ? [200, '{"etcdserver":"3.3.27","etcdcluster":"3.3.0"}']
          : [404, '404 page not found\n'],
      (url) =>
        expect(etcdLocks(url).acquire(asks())).rejects.toMatchObject({
          code: 'STORE_MISCONFIGURED',
          effect: 'none',
          message: expect.stringMatching(/is etcd 3\.3\.27.*use etcd 3\.4 or later/),
        }),
    ))

  it('is refused when it is a server of another kind', () =>
    answering(
      () => [200, '<html>welcome</html>'],
      (url) =>
        expect(etcdLocks(url).inspect('orders')).rejects.toMatchObject({
          code: 'STORE_MISCONFIGURED',
          message: expect.stringContaining('does not answer as etcd does'),
        }),
    ))

  it.each([
    [503, { error: 'etcdserver: no leader', code: 14 }, 'STORE_UNAVAILABLE', /has a leader/],
    [503, { error: 'etcdserver: request timed out', code: 14 }, 'STORE_UNAVAILABLE', /health of the cluster/],
    [429, { error: 'etcdserver: mvcc: database space exceeded', code: 8 }, 'STORE_FULL', /alarm disarm/],
    [429, { code: 8, message: 'etcdserver: too many requests' }, 'STORE_UNAVAILABLE', /ask again later/],
    [403, { error: 'etcdserver: permission denied', code: 7 }, 'STORE_MISCONFIGURED', /readwrite/],
    [400, { error: 'etcdserver: user name is empty', code: 3 }, 'STORE_MISCONFIGURED', /pass `auth`/],
    [502, 'bad gateway', 'STORE_UNAVAILABLE', /status 502/],
  ])('tells what status %i with %j means', (status, body, code, message) =>
    answering(
      () => [status, JSON.stringify(body)],
      (url) =>
        expect(etcdLocks(url).acquire(asks())).rejects.toMatchObject({
          code,
          effect: 'none',
          message: expect.stringMatching(message),
        }),
    ),
  )
})
