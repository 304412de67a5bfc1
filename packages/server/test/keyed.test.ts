import { afterEach, describe, expect, it } from 'vitest'
import type { Gateway } from '../src/gateway/start-gateway.ts'
import { gatewayBefore, startUpstream, type Upstream } from './support/servers.ts'

describe('a keyed request', () => {
  let upstream: Upstream
  let gateway: Gateway
  afterEach(async () => {
    await gateway?.stop()
    await upstream?.close()
  })

  const post = (path: string, key: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(gateway.url + path, {
      method: 'POST',
      headers: { 'Idempotency-Key': key, 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })

  it('reaches the upstream once, and its duplicate gets the same bytes', async () => {
    upstream = await startUpstream((request, response) => {
      response.writeHead(201, { 'Content-Type': 'application/json', Location: '/payments/1' })
      response.end(JSON.stringify({ id: 1, got: request.body }))
    })
    gateway = await gatewayBefore(upstream.url)
    const first = await post('/payments', 'k-1', { amount: 5 })
    const second = await post('/payments', 'k-1', { amount: 5 })
    expect(first.status).toBe(201)
    expect(second.status).toBe(201)
    expect(await second.text()).toBe(await first.text())
    expect(second.headers.get('location')).toBe('/payments/1')
    expect(second.headers.get('idempotent-replayed')).toBe('true')
    expect(upstream.seen).toHaveLength(1)
    expect(upstream.seen[0]?.headers['idempotency-key']).toBe('k-1')
    expect(Number(upstream.seen[0]?.headers['onceward-fence'])).toBeGreaterThan(0)
    expect(upstream.seen[0]?.headers['onceward-attempt']).toBe('1')
  })
})
