import { createServer } from 'node:http'
import { gatewayConformance, httpConformance, registerCases, type StartHttp } from 'onceward/testing'
import { describe, it } from 'vitest'
import { listening } from '../../onceward/test/http/listening.ts'
import { listener } from '../../onceward/test/http/node-application.ts'
import { gatewayBefore } from './support/servers.ts'

/** Puts the gateway before a service on `node:http` that knows nothing of keys. */
const start: StartHttp = async ({ app, options }) => {
  const { scope, quota, ...rest } = options
  const upstream = await listening(createServer(listener(app)))
  const gateway = await gatewayBefore(`http://127.0.0.1:${upstream.port}`, {
    scope: scope === 'public' ? 'public' : `header:${scope.header}`,
    shutdownMs: 1,
    ...(quota === undefined ? {} : { maxNewKeys: quota }),
    ...rest,
  })
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
        store: 'it opens its store by a URL',
        authorization: 'its scope and the service behind it decide who may ask',
        throws: 'the service behind it answers for its own throws',
        maxWaiters: 'the limit is fixed',
        canonicalJson: 'it compares bytes',
      },
    }),
  )
  registerCases(it, gatewayConformance(start))
})
