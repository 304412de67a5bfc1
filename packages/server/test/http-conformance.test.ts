import type { ServerResponse } from 'node:http'
import { memoryStore } from 'onceward/memory'
import { type AppResponse, httpConformance, registerCases, type StartHttp } from 'onceward/testing'
import { describe, it } from 'vitest'
import { createLog } from '../src/gateway/gateway-log.ts'
import { startGateway } from '../src/gateway/start-gateway.ts'
import { optionsOf, startRaw } from './support/servers.ts'

/** Puts the application behind a gateway, as a service of its own that knows nothing of keys. */
const start: StartHttp = async ({ app, options, wrapStore = (store) => store }) => {
  const upstream = await startRaw(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const [path = '', query = ''] = (request.url ?? '').split('?')
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(', ') : value,
      ]),
    )
    await answer(
      response,
      await app({ method: request.method ?? '', path, query, headers, body: Buffer.concat(chunks) }),
    )
  })
  const { scope, quota, failOpen, ...policy } = options
  const gateway = await startGateway(
    optionsOf({
      upstream: upstream.url,
      scope: scope === 'public' ? scope : `header:${scope.header}`,
      shutdownMs: 1,
      ...policy,
      ...(quota === undefined ? {} : { maxNewKeys: quota }),
      ...(failOpen ? { routes: [{ name: 'all', path: '/*', failOpen }] } : {}),
    }),
    createLog('silent'),
    {
      openStore: async () => {
        const catalog = memoryStore()
        return { ...catalog, ...wrapStore(catalog) }
      },
    },
  )
  return {
    port: Number(new URL(gateway.url).port),
    async close() {
      await Promise.all([gateway.stop(), upstream.close()])
    },
  }
}

async function answer(
  response: ServerResponse,
  { status, headers = [], body = '' }: AppResponse,
): Promise<void> {
  response.writeHead(status, headers.flat())
  if (typeof body === 'string' || body instanceof Uint8Array) return void response.end(body)
  for await (const chunk of body) response.write(chunk)
  response.end()
}

describe('the gateway', () => {
  registerCases(
    it,
    httpConformance(start, {
      without: {
        authorization: 'nothing stands before a gateway but what tells callers apart',
        throws: 'a service behind a gateway answers 500 or breaks off; it cannot throw into it',
      },
    }),
  )
})
