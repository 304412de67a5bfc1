import { afterEach } from 'vitest'
import { type RedisServer, startRedis } from '../../../../test-servers/index.mjs'
import { type SafeRedis, type SafeRedisOptions, safeRedis } from '../../src/redis-retry/index.ts'
import { type CLIENTS, type OpenClient, SINGLE } from './retry-kit.ts'

/** What the tests of one suite open; all of it is closed after each test, the last first. */
export interface RetryRig {
  /** What is to be done after the test. */
  readonly ends: (() => unknown)[]
  /** Starts a server. */
  serving(options?: Parameters<typeof startRedis>[0]): Promise<RedisServer>
  /** Opens a client, with `ofClient` among its options, and wraps it. */
  open(
    name: (typeof CLIENTS)[number],
    url: string,
    options?: SafeRedisOptions,
    ofClient?: object,
  ): Promise<OpenClient & { readonly safe: SafeRedis }>
}

/** Makes the rig of the suite that it is called in. */
export function retryRig(): RetryRig {
  const ends: (() => unknown)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })
  return {
    ends,
    async serving(options = {}) {
      const server = await startRedis(options)
      ends.push(() => server.stop())
      return server
    },
    async open(name, url, options = {}, ofClient = {}) {
      const opened = await SINGLE[name](url, ofClient)
      const safe = safeRedis(opened.client, { prefix: 'm', ...options })
      ends.push(opened.close, () => safe.close())
      return { ...opened, safe }
    },
  }
}
