import { createServer } from 'node:http'
import { gatewayConformance, httpConformance, registerCases, type StartHttp } from 'onceward/testing'
import { it } from 'vitest'
import { describeWith, sharedRedis } from '../../../test-servers/index.mjs'
import { listening } from '../../onceward/test/http/listening.ts'
import { listener } from '../../onceward/test/http/node-application.ts'
import { createLog } from '../src/gateway/gateway-log.ts'
import { startGateway } from '../src/gateway/start-gateway.ts'
import { createStore } from '../src/store/create-store.ts'
import { optionsOf } from './support/servers.ts'
import { SERVER_STORES } from './support/store-servers.ts'

/** Puts the gateway, on a fresh store of a server, before a service that knows nothing of keys. */
const startOn =
  (place: (typeof SERVER_STORES)[number]['place'], cached: boolean): StartHttp =>
  async ({ app, options, wrapStore = (store) => store }) => {
    const { scope, quota, failOpen, ...rest } = options
    const upstream = await listening(createServer(listener(app)))
    const { url, drop } = await place()
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
          const cache = cached ? { cache: (await sharedRedis()).url } : {}
          const store = await createStore(url, { create: true, ...cache })
          await store.migrate()
          return { ...store, ...wrapStore(store) }
        },
      },
    )
    return {
      port: Number(new URL(gateway.url).port),
      async close() {
        await upstream.close()
        await gateway.stop()
        await drop()
      },
    }
  }

for (const { kind, server, place } of SERVER_STORES) {
  for (const cached of kind === 'postgres' ? [false, true] : [false]) {
    const servers = cached ? ([server, 'redis'] as const) : server
    await describeWith(servers, `the gateway on ${kind}${cached ? ', a cache before it' : ''}`, () => {
      const start = startOn(place, cached)
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
  }
}
