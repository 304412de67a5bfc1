import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { gatewayConformance, httpConformance, registerCases, type StartHttp } from 'onceward/testing'
import { afterAll, beforeAll, it } from 'vitest'
import { describeWith, sharedRedis } from '../../../test-servers/index.mjs'
import { listening } from '../../onceward/test/http/listening.ts'
import { listener } from '../../onceward/test/http/node-application.ts'
import { createLog } from '../src/gateway/gateway-log.ts'
import { startGateway } from '../src/gateway/start-gateway.ts'
import type { CatalogStore } from '../src/store/catalog-store.ts'
import { createStore } from '../src/store/create-store.ts'
import { optionsOf } from './support/servers.ts'
import { SERVER_STORES, type StorePlace } from './support/store-servers.ts'

/** Puts the gateway, on the store that `open` opens, before a service that knows nothing of keys. */
const startOn =
  (open: () => Promise<CatalogStore>): StartHttp =>
  async ({ app, options, wrapStore = (store) => store }) => {
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
          const store = await open()
          return { ...store, ...wrapStore(store) }
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

/** The whole suite where a fresh store costs least; elsewhere what a gateway needs of its store. */
const SETUPS = [
  ...SERVER_STORES.map((one) => ({ ...one, cached: false, whole: one.kind === 'redis' })),
  ...SERVER_STORES.filter(({ kind }) => kind === 'postgres').map((one) => ({
    ...one,
    cached: true,
    whole: false,
  })),
]

for (const { kind, server, place, cached, whole } of SETUPS) {
  const servers = cached ? ([server, 'redis'] as const) : server
  await describeWith(servers, `the gateway on ${kind}${cached ? ', a cache before it' : ''}`, () => {
    let used: StorePlace
    beforeAll(async () => {
      used = await place()
      const store = await createStore(used.url, { create: true })
      await store.migrate()
      await store.close()
    })
    afterAll(() => used?.drop())
    const start = startOn(async () => {
      await used.empty()
      // What the cache knows is not emptied with the tables: it gets a place of its own each time.
      const prefix = `gateway:${randomBytes(6).toString('hex')}`
      const cache = cached ? { cache: `${(await sharedRedis()).url}?prefix=${prefix}` } : {}
      return createStore(used.url, { create: true, ...cache })
    })
    if (whole) {
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
    }
    registerCases(it, gatewayConformance(start))
  })
}
