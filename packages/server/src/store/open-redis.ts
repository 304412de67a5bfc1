import type { RedisClient } from 'onceward/redis'
import { type CatalogStore, closingToo, type OpenOptions } from './catalog-store.ts'
import { connectionNews, unreachable } from './connection-trouble.ts'
import { numberOf, onlyHost, parseStoreUrl, type StoreUrl } from './store-url.ts'

/** The schemes of Redis; with a second `s` over TLS. */
export const REDIS_SCHEMES: readonly string[] = [
  'redis',
  'rediss',
  'redis+sentinel',
  'rediss+sentinel',
  'redis+cluster',
  'rediss+cluster',
]

/** A client of Redis that is on its way. */
export interface RedisOpened {
  readonly client: RedisClient
  readonly prefix: string | undefined
  readonly url: StoreUrl
  /** Resolves when the server has answered. */
  connected(): Promise<void>
  end(): Promise<unknown>
}

/** How long the first connection may take, and each later attempt, in ms. */
const CONNECT_MS = 5000

/** A silent connection is asked for a sign of life after the one, and given up after the other, in ms. */
const PING_MS = 5000
const SILENCE_MS = 15_000

/** Opens a store on Redis. @throws `CommandError`: usage for a wrong URL, store for a server that does not let us in. */
export async function openRedisStore(url: string, options: OpenOptions): Promise<CatalogStore> {
  const opened = await openRedisClient('--store', url, options, false)
  try {
    await opened.connected()
    const { redisStore } = await import('onceward/redis')
    const { client, prefix, end } = opened
    return closingToo(redisStore(client, prefix === undefined ? {} : { prefix }), end)
  } catch (error) {
    await opened.end()
    throw error
  }
}

/**
 * Makes a client of the `redis` package for a URL and begins to connect.
 *
 * @param patient - Whether a server that is not there at first is waited for in the background.
 */
export async function openRedisClient(
  flag: string,
  given: string,
  options: Pick<OpenOptions, 'onConnection'>,
  patient: boolean,
): Promise<RedisOpened> {
  const url = parseStoreUrl(flag, given, ['prefix', 'db'])
  const [family = '', topology = 'standalone'] = url.scheme.split('+')
  const prefix = url.parameter('prefix')
  if (prefix !== undefined && !/^[\w.:-]{1,64}$/.test(prefix))
    throw url.wrong('prefix must be 1 to 64 letters, digits, "_", "-", "." or ":"')
  const news = connectionNews(url.shown, options.onConnection)
  let wasReady = false
  const socket = {
    connectTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
    // A wrong URL is told at once; a server that was there is waited for.
    reconnectStrategy: (retries: number, cause: Error) =>
      patient || wasReady
        ? Math.min(2000, 50 * 2 ** Math.min(retries, 8)) * (0.75 + Math.random() / 2)
        : cause,
    ...(family === 'rediss' ? { tls: true as const } : {}),
  }
  const database = databaseOf(url, topology)
  const late =
    topology === 'sentinel'
      ? `see whether the Sentinels are up and know a primary called ${url.path}`
      : `see whether it is up and reachable${family === 'rediss' ? ', and speaks TLS on that port' : ''}`
  const login = {
    ...(url.user === undefined ? {} : { username: url.user }),
    ...(url.password === undefined ? {} : { password: url.password }),
    pingInterval: PING_MS,
    name: 'onceward',
  }
  const redis = await import('redis')
  const onReady = (): void => {
    wasReady = true
    news.back()
  }
  const watch = <Client extends { on(event: string, listener: (error: Error) => void): unknown }>(
    client: Client,
  ): Client => {
    client.on('error', (error) => {
      if (wasReady || patient) news.lost(error)
    })
    client.on('ready', onReady)
    return client
  }
  const opened = (client: RedisClient & { connect(): Promise<unknown>; destroy(): unknown }): RedisOpened => {
    const connecting = bounded(client.connect(), late).then(onReady)
    // Whoever is patient does not wait for it.
    connecting.catch(() => {})
    return {
      client,
      prefix,
      url,
      connected: () =>
        connecting.catch((error: unknown) => {
          throw unreachable(flag, url.shown, mended(error))
        }),
      end: async () => client.destroy(),
    }
  }
  switch (topology) {
    case 'standalone': {
      const { host, port = 6379 } = onlyHost(url)
      return opened(watch(redis.createClient({ ...login, database, socket: { ...socket, host, port } })))
    }
    case 'sentinel': {
      if (url.path === '') throw url.wrong('name the primary as Sentinel knows it: …/NAME, such as /mymaster')
      const nodes = url.hosts.map(({ host, port = 26_379 }) => ({ host, port }))
      if (nodes.length === 0) throw url.wrong('name at least one Sentinel: host:port')
      return opened(
        watch(
          redis.createSentinel({
            name: url.path,
            sentinelRootNodes: nodes,
            nodeClientOptions: { ...login, database, socket },
            sentinelClientOptions: { socket },
            passthroughClientErrorEvents: true,
            scanInterval: 1000,
          }),
        ),
      )
    }
    default: {
      const nodes = url.hosts.map(({ host, port = 6379 }) => ({ socket: { ...socket, host, port } }))
      if (nodes.length === 0) throw url.wrong('name at least one node of the cluster: host:port')
      return opened(
        watch(
          redis.createCluster({
            rootNodes: nodes.map((node) => ({ ...login, ...node })),
            defaults: { ...login, socket },
          }),
        ),
      )
    }
  }
}

function databaseOf(url: StoreUrl, topology: string): number {
  const byParameter = numberOf(url, 'db', 0, 1_000_000)
  if (topology === 'cluster') {
    if (byParameter !== undefined || url.path !== '')
      throw url.wrong('a cluster has one database; leave it out')
    return 0
  }
  if (topology === 'sentinel' || url.path === '') return byParameter ?? 0
  if (!/^\d{1,6}$/.test(url.path)) throw url.wrong(`/${url.path} is not the number of a database`)
  if (byParameter !== undefined) throw url.wrong('gives the database twice')
  return Number(url.path)
}

/** What Redis says when it does not let us in, with the mend. */
function mended(error: unknown): unknown {
  const text = error instanceof Error ? error.message : String(error)
  const mend = /^WRONGPASS/.test(text)
    ? 'the user name or the password is wrong; correct the URL'
    : /^NOAUTH/.test(text)
      ? 'it asks for a password; give it in the URL: redis://:PASSWORD@host'
      : /without any password configured/.test(text)
        ? 'it has no password, but the URL gives one; leave it out'
        : /DB index is out of range/.test(text)
          ? 'it has no database of that number; correct the end of the URL'
          : /^NOPERM/.test(text)
            ? 'this user may not even say hello; docs/redis.md lists the permissions'
            : /root nodes are unavailable/i.test(text)
              ? 'none of these nodes answers as a part of a cluster; see whether they are up, and use redis:// for a server alone'
              : undefined
  return mend === undefined ? error : new Error(mend)
}

function bounded<T>(work: Promise<T>, mend: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`it did not answer as asked within ${CONNECT_MS} ms; ${mend}`)),
      CONNECT_MS,
    )
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
