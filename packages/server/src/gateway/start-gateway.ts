import { randomBytes } from 'node:crypto'
import type { Server } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { createOnce } from 'onceward'
import { responseCodec } from 'onceward/http'
import { createTokens } from 'onceward/tokens'
import { adminApp, upstreamAnswers } from '../admin/admin-app.ts'
import type { GatewayOptions } from '../config/gateway-options.ts'
import { withoutCredentials } from '../config/print-config.ts'
import { CommandError, EXIT } from '../exit-codes.ts'
import type { CatalogStore } from '../store/catalog-store.ts'
import { openForGateway } from '../store/open-for-gateway.ts'
import { callers } from './caller.ts'
import { END_TO_END } from './framing.ts'
import type { GatewayLog } from './gateway-log.ts'
import { startHealing } from './healing-loop.ts'
import { keyedHandler } from './keyed-requests.ts'
import { NAMESPACE } from './namespace.ts'
import { publicServer } from './public-server.ts'
import { createReconciler, RECONCILE_TIMEOUT_MS, type Reconciler } from './reconciler.ts'
import { type RequestHandler, requestHandler } from './request-handler.ts'
import { routeTable } from './route-table.ts'
import { tokenHandler } from './token-requests.ts'
import { trustedPeers } from './trusted-peers.ts'
import { openUpstream, type Upstream } from './upstream.ts'

/** A running gateway. */
export interface Gateway {
  /** Where clients send requests: `http://127.0.0.1:8080`. */
  readonly url: string
  /** Where `/healthz` and `/readyz` are. */
  readonly adminUrl: string
  /**
   * Stops accepting, lets what runs finish for at most `shutdownMs`, and frees everything. Answers whether all of it
   * finished; what was cut stays claimed, and is held or rerun after its lease, by route.
   */
  stop(): Promise<boolean>
}

/** What a gateway is built with instead of its own. */
export interface GatewayParts {
  /** Opens the store that the options name; the gateway closes it. */
  readonly openStore?: (url: string) => Promise<CatalogStore>
}

/**
 * Starts a gateway. What is wrong with the options is told before anything is opened, the ports are taken before the
 * store is touched, and a start that fails closes what it has opened.
 *
 * @throws `CommandError`: usage for options that do not go together, store for a store that cannot be used, failure
 *   for a port that is taken.
 */
export async function startGateway(
  options: GatewayOptions,
  { log, flush }: GatewayLog,
  parts: GatewayParts = {},
): Promise<Gateway> {
  const routes = routeTable(options.routes, options.defaults)
  const trusted = trustedPeers(options.trustProxy)
  const callerOf = await callers(options.jwt)
  const policies = [options.defaults, ...options.routes.map((route) => route.policy)]
  const scopeFields = new Set(policies.flatMap(({ scope }) => (scope.kind === 'header' ? [scope.name] : [])))
  const tokenFields = policies.flatMap(({ tokenFrom }) => tokenFrom?.header?.toLowerCase() ?? [])

  let handler: RequestHandler | undefined
  const front = await publicServer(options, {
    onRequest: (request, response) => {
      if (handler) handler.onRequest(request, response)
      else response.writeHead(503, { 'Retry-After': '1', Connection: 'close' }).end()
    },
    onUpgrade: (request, socket, head) => {
      if (handler) handler.onUpgrade(request, socket, head)
      else socket.destroy()
    },
  })
  let draining = false
  let admin: ReturnType<typeof getRequestListener> | undefined
  const adminServer = createServer((request, response) => {
    if (admin) void admin(request, response)
    else response.writeHead(503).end()
  })
  const opened: { store?: CatalogStore; upstream?: Upstream; reconciler?: Reconciler } = {}
  /** Cuts and frees all that is open by now. `beforeStore` may use the store a last time. */
  const closeAll = async (beforeStore?: () => Promise<unknown>): Promise<void> => {
    front.cut()
    front.server.close()
    adminServer.close()
    adminServer.closeAllConnections()
    await Promise.all([opened.upstream?.destroy(), opened.reconciler?.close()])
    await beforeStore?.()
    await opened.store?.close()
  }
  try {
    await listen(front.server, options.host, options.port, '--port')
    await listen(adminServer, options.adminHost, options.adminPort, '--admin-port')
    const store = await (parts.openStore?.(options.store) ?? openForGateway(options, log))
    opened.store = store

    const reconciler = createReconciler(routes, NAMESPACE)
    opened.reconciler = reconciler
    const upstream = openUpstream(options.upstream, options.upstreamTimeoutMs)
    opened.upstream = upstream
    const once = createOnce({
      store,
      scope: NAMESPACE,
      storeTimeoutMs: options.storeTimeoutMs,
      codec: responseCodec,
      reconcile: reconciler.reconcile,
      reconcileTimeoutMs: RECONCILE_TIMEOUT_MS,
    })
    const tokens = createTokens({ once })
    const running = new Set<string>()
    const keyed = keyedHandler(
      { once, tokens, callerOf, upstream: upstream.keyed, log, maxNewKeys: options.maxNewKeys, running },
      policies,
    )
    admin = getRequestListener(
      adminApp({ store, upstream: options.upstream, draining: () => draining }).fetch,
    )
    handler = requestHandler({
      options,
      upstream,
      routes,
      keyed,
      issue: tokenHandler({ tokens, callerOf, log, options }),
      trusted,
      rules: {
        scopeFields,
        // The name a TLS service is asked under must be its own; a plain one sees the name its client used.
        upstreamHost: options.upstream.host,
        keepHost: options.upstream.protocol === 'http:',
        // Of its own, so that a gateway before a gateway is no loop.
        viaName: `onceward-${randomBytes(6).toString('hex')}`,
      },
      limits: {
        maxHeaders: options.maxHeaders,
        endToEnd: new Set([...END_TO_END, ...scopeFields, ...tokenFields]),
      },
      log,
    })
    const healing = startHealing(once, store, log)
    const url = urlOf(front.server, options.host, options.tls === undefined ? 'http' : 'https')
    const adminUrl = urlOf(adminServer, options.adminHost, 'http')
    log.info(
      { url, admin: adminUrl, upstream: options.upstream.origin, store: withoutCredentials(options.store) },
      'the gateway is ready',
    )
    void upstreamAnswers(options.upstream).then((answers) => {
      if (!answers) log.warn({ upstream: options.upstream.origin }, 'the upstream cannot be reached yet')
    })
    const unprotected = options.routes.filter((route) => route.policy.failOpen).map((route) => route.name)
    if (unprotected.length > 0)
      log.warn({ routes: unprotected }, 'these routes run unprotected while the store is down')

    return {
      url,
      adminUrl,
      async stop() {
        draining = true
        const ended = Promise.all([front.drain(), healing.stop()]).then(() => once.close())
        const finished = await finishedWithin(options.shutdownMs, () => ended)
        if (!finished) {
          log.warn(
            { count: running.size, operations: [...running].slice(0, MAX_TOLD) },
            'not everything finished in time: what was cut is held, or runs again where its route says so; see onceward ls --state held',
          )
        }
        // What was cut is written down as such where the store answers at once; else its lease tells, later.
        await closeAll(finished ? undefined : () => finishedWithin(CUT_MS, () => ended))
        log.info('the gateway has stopped')
        flush()
        return finished
      },
    }
  } catch (error) {
    await closeAll()
    flush()
    throw error
  }
}

/** How many operations one log line names. */
const MAX_TOLD = 100

/** How long the store may take to note what a shutdown has cut, in ms. */
const CUT_MS = 1000

function listen(server: Server, host: string, port: number, flag: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      const reasons: Readonly<Record<string, string>> = {
        EADDRINUSE: `port ${port} on ${host} is in use; choose another with ${flag}, or 0 for a free one`,
        EACCES: `port ${port} on ${host} needs rights this user lacks; choose one above 1023 with ${flag}`,
        EADDRNOTAVAIL: `${host} is not an address of this machine; choose another with --host`,
        ENOTFOUND: `${host} is not a known host; choose another with --host`,
      }
      reject(
        new CommandError(
          EXIT.failure,
          reasons[error.code ?? ''] ?? `cannot listen on ${host}: ${error.message}`,
        ),
      )
    }
    server.once('error', onError)
    server.listen(port, host, () => {
      server.off('error', onError)
      resolve()
    })
  })
}

function urlOf(server: Server, host: string, scheme: string): string {
  const { port } = server.address() as AddressInfo
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

async function finishedWithin(ms: number, work: () => Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms)
  })
  const finished = await Promise.race([work().then(() => true as const), late])
  clearTimeout(timer)
  return finished
}
