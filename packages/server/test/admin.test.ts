import { mkdtemp, rm } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import { adminApp } from '../src/admin/admin-app.ts'
import type { Gateway } from '../src/gateway/start-gateway.ts'
import { createStore } from '../src/store/create-store.ts'
import { gatewayBefore, startUpstream, type Upstream } from './support/servers.ts'

describe('the admin port', () => {
  let upstream: Upstream
  let gateway: Gateway | undefined
  afterEach(async () => {
    await gateway?.stop()
    gateway = undefined
    await upstream.close()
  })
  const start = async () => {
    upstream = await startUpstream((_, response) => void response.end('ok'))
    gateway = await gatewayBefore(upstream.url)
    return gateway.adminUrl
  }
  const ask = (url: string, options: { method?: string; host?: string } = {}) =>
    new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
      const headers = options.host === undefined ? {} : { Host: options.host }
      httpRequest(url, { method: options.method ?? 'GET', headers, agent: false }, (answer) => {
        void text(answer).then((body) => resolve({ status: answer.statusCode, body }))
      })
        .once('error', reject)
        .end()
    })

  it('tells that the process answers, and that it is ready', async () => {
    const url = await start()
    expect(await ask(`${url}/healthz`)).toEqual({ status: 200, body: '{"status":"ok"}' })
    await expect
      .poll(() => ask(`${url}/readyz`))
      .toEqual({
        status: 200,
        body: '{"status":"ready","store":"ok","upstream":"ok"}',
      })
  })

  it('reports an upstream that is down and stays ready: stored answers are still given', async () => {
    const url = await start()
    await upstream.close()
    expect(await ask(`${url}/readyz`)).toEqual({
      status: 200,
      body: '{"status":"ready","store":"ok","upstream":"unreachable"}',
    })
  })

  it('is not ready without its store, nor while it stops', async () => {
    upstream = await startUpstream((_, response) => void response.end('ok'))
    const folder = await mkdtemp(join(tmpdir(), 'onceward-admin-'))
    const store = await createStore(`sqlite:${join(folder, 'a.sqlite')}`, { create: true })
    let draining = false
    const app = adminApp({ store, upstream: new URL(upstream.url), draining: () => draining })
    const readyz = async () => {
      const answer = await app.request('http://localhost/readyz')
      return [answer.status, await answer.json()]
    }
    // A disk that takes a second for a write is told as unready, and is asked again.
    await expect.poll(readyz).toMatchObject([200, { status: 'ready' }])
    draining = true
    await expect.poll(readyz).toMatchObject([503, { status: 'draining', store: 'ok' }])
    draining = false
    await store.close()
    expect(await readyz()).toMatchObject([503, { status: 'not ready', store: 'unreachable' }])
    await rm(folder, { recursive: true, force: true })
  })

  it('is not ready when its database file was deleted under it', async () => {
    upstream = await startUpstream((_, response) => void response.end('ok'))
    const folder = await mkdtemp(join(tmpdir(), 'onceward-admin-'))
    const store = await createStore(`sqlite:${join(folder, 'a.sqlite')}`, { create: true })
    const app = adminApp({ store, upstream: new URL(upstream.url), draining: () => false })
    const status = async () => (await app.request('http://localhost/readyz')).status
    await expect.poll(status).toBe(200)
    await rm(folder, { recursive: true, force: true })
    expect(await status()).toBe(503)
    await store.close()
  })

  it('answers no other host name, no other method and no other path', async () => {
    const url = await start()
    expect((await ask(`${url}/healthz`, { host: 'evil.example' })).status).toBe(421)
    expect((await ask(`${url}/healthz`, { host: `localhost:${new URL(url).port}` })).status).toBe(200)
    expect((await ask(`${url}/healthz`, { method: 'POST' })).status).toBe(405)
    expect((await ask(`${url}/`)).status).toBe(404)
  })

  it('is not on the public port', async () => {
    await start()
    expect(await (await fetch(`${gateway?.url}/healthz`)).text()).toBe('ok')
    expect(upstream.seen.map((one) => one.url)).toEqual(['/healthz'])
  })
})
