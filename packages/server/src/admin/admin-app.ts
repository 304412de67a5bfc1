import { connect } from 'node:net'
import { Hono } from 'hono'
import { isLoopbackName } from '../config/gateway-options.ts'
import type { CatalogStore } from '../store/catalog-store.ts'
import { takesWrites } from '../store/takes-writes.ts'

/** What the admin port tells about. */
export interface AdminContext {
  readonly store: CatalogStore
  readonly upstream: URL
  /** Whether the gateway is shutting down. */
  readonly draining: () => boolean
}

/** How long a probe may take, in ms. */
const PROBE_MS = 1000

/**
 * The admin port: `GET /healthz` (the process answers) and `GET /readyz` (the store can be read and written to, and
 * it is not shutting down). An upstream that is down is reported and does not make the gateway unready: stored outcomes are still replayed.
 *
 * It answers requests for a loopback host name only, so that no web page can read it by rebinding a name.
 */
export function adminApp(context: AdminContext): Hono {
  const app = new Hono()
  app.use(async (c, next) => {
    const host = new URL(c.req.url).hostname
    if (!isLoopbackName(host)) return c.json({ status: 'misdirected' }, 421)
    if (c.req.method !== 'GET' && c.req.method !== 'HEAD')
      return c.json({ status: 'method not allowed' }, 405)
    await next()
    c.header('Cache-Control', 'no-store')
    return undefined
  })
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  app.get('/readyz', async (c) => {
    const [store, upstream] = await Promise.all([
      storeAnswers(context.store),
      upstreamAnswers(context.upstream),
    ])
    const draining = context.draining()
    const ready = store && !draining
    return c.json(
      {
        status: draining ? 'draining' : ready ? 'ready' : 'not ready',
        store: store ? 'ok' : 'unreachable',
        upstream: upstream ? 'ok' : 'unreachable',
        ...cacheOf(context.store),
      },
      ready ? 200 : 503,
    )
  })
  app.notFound((c) => c.json({ status: 'not found' }, 404))
  return app
}

/** How the cache fares, where there is one: without it everything is slower and still right, so it is no reason to be unready. */
function cacheOf({ cacheState }: CatalogStore): object {
  if (cacheState === undefined) return {}
  const { state, since, hits, misses, opened } = cacheState()
  return {
    cache: state === 'closed' ? 'ok' : 'left alone',
    cacheState: { state, since: new Date(since).toISOString(), hits, misses, opened },
  }
}

async function storeAnswers(store: CatalogStore): Promise<boolean> {
  try {
    const late = new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error('the store is slow')), PROBE_MS).unref()
    })
    await Promise.race([takesWrites(store), late])
    return true
  } catch {
    return false
  }
}

/** Whether a connection to the service can be opened. */
export function upstreamAnswers(upstream: URL): Promise<boolean> {
  return new Promise((resolve) => {
    const port = upstream.port === '' ? (upstream.protocol === 'https:' ? 443 : 80) : Number(upstream.port)
    const socket = connect({ host: upstream.hostname.replace(/^\[|\]$/g, ''), port })
    const settle = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(PROBE_MS, () => settle(false))
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
  })
}
