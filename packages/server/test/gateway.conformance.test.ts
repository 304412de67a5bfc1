import { createServer } from 'node:http'
import { memoryStore } from 'onceward/memory'
import { gatewayConformance, httpConformance, registerCases, type StartHttp } from 'onceward/testing'
import { describe, it } from 'vitest'
import { listening } from '../../onceward/test/http/listening.ts'
import { listener } from '../../onceward/test/http/node-application.ts'
import { createLog } from '../src/gateway/gateway-log.ts'
import { startGateway } from '../src/gateway/start-gateway.ts'
import { optionsOf } from './support/servers.ts'

/** Puts the gateway before a service on `node:http` that knows nothing of keys. */
const start: StartHttp = async ({ app, options, wrapStore = (store) => store }) => {
  const { scope, quota, failOpen, ...rest } = options
  const upstream = await listening(createServer(listener(app)))
  const gateway = await startGateway(
    optionsOf({
      upstream: `http://127.0.0.1:${upstream.port}`,
      scope: scope === 'public' ? 'public' : `header:${scope.header}`,
      shutdownMs: 1,
      ...(quota === undefined ? {} : { maxNewKeys: quota }),
      ...(failOpen === undefined ? {} : { routes: [{ name: 'all', path: '/*', failOpen }] }),
      ...rest,
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
      await upstream.close()
      await gateway.stop()
    },
  }
}

describe('the gateway', () => {
  registerCases(
    it,
    httpConformance(start, {
      without: {
        authorization: 'its scope and the service behind it decide who may ask',
        throws: 'the service behind it answers for its own throws',
        userFunctions: 'it is configured by a file',
      },
    }),
  )
  registerCases(it, gatewayConformance(start))
})
