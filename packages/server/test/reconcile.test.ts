import { afterEach, describe, expect, it } from 'vitest'
import type { Gateway } from '../src/gateway/start-gateway.ts'
import { gatewayBefore, startUpstream, type Upstream, until } from './support/servers.ts'

describe('a held operation of a route with a reconcile URL', () => {
  const steps: (() => unknown)[] = []
  afterEach(async () => {
    for (const step of steps.splice(0).reverse()) await step()
  })
  let gateway: Gateway
  let upstream: Upstream
  let asked: Record<string, unknown>[]
  let paid: number

  /** A service whose first answer is lost, and that is asked about it at /status. */
  const start = async (status: number, headers: Record<string, string> = {}) => {
    asked = []
    paid = 0
    upstream = await startUpstream((request, response) => {
      if (request.url === '/status') {
        asked.push(request.headers)
        response.writeHead(status, { 'Content-Type': 'application/json', 'Set-Cookie': 'a=b', ...headers })
        return void response.end('{"id":"found"}')
      }
      paid++
      if (paid === 1) return void response.destroy()
      response.end(`payment ${paid}`)
    })
    steps.push(() => upstream.close())
    gateway = await gatewayBefore(upstream.url, {
      scope: 'header:X-Tenant',
      routes: [{ method: 'POST', path: '/payments/:id', reconcile: `${upstream.url}/status` }],
    })
    steps.push(() => gateway.stop())
  }
  const send = (path = '/payments/7') =>
    fetch(gateway.url + path, {
      method: 'POST',
      headers: { 'Idempotency-Key': '"k 1"', 'X-Tenant': 'täst' },
      body: 'b',
    })

  it('is done with the response that 200 carries', async () => {
    await start(200, { 'Onceward-Status': '201', Location: '/payments/7/1' })
    expect((await send()).status).toBe(502)
    const replay = await send()
    expect([replay.status, await replay.text()]).toEqual([201, '{"id":"found"}'])
    expect(replay.headers.get('location')).toBe('/payments/7/1')
    expect(replay.headers.get('idempotent-replayed')).toBe('true')
    expect(replay.headers.has('set-cookie')).toBe(false)
    expect(paid).toBe(1)
    expect(asked).toHaveLength(1)
    expect(asked[0]).toMatchObject({
      'idempotency-key': 'k 1',
      'onceward-method': 'POST',
      'onceward-path': '/payments/7',
    })
    expect(decodeURIComponent(String(asked[0]?.['onceward-caller']))).not.toBe('')
  })

  it('runs again after 404', async () => {
    await start(404)
    await send()
    const again = await send()
    expect([again.status, await again.text()]).toEqual([200, 'payment 2'])
    expect(paid).toBe(2)
  })

  it.each([500, 204, 302])('stays held after %i', async (status) => {
    await start(status)
    await send()
    const again = await send()
    expect([again.status, await again.json()]).toMatchObject([409, { code: 'outcome-unknown' }])
    expect(asked).toHaveLength(1)
    expect(paid).toBe(1)
  })

  it('is settled without any duplicate, by the pass in the background', async () => {
    await start(200)
    await send()
    await until(() => asked.length === 1, 10_000)
    await until(async () => (await send()).status === 200)
    expect(paid).toBe(1)
  })

  it('of another route is not asked about', async () => {
    await start(200)
    await send('/other/7')
    expect((await send('/other/7')).status).toBe(409)
    expect(asked).toHaveLength(0)
  })
})
