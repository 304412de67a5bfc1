import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { GUARDED_METHODS } from 'onceward/http'
import type { Logger } from 'pino'
import type { GatewayOptions } from '../config/gateway-options.ts'
import { type ForwardRules, forwardedHeaders, isLoop } from './forwarded-headers.ts'
import { type FramingLimits, framingFault } from './framing.ts'
import type { KeyedHandler } from './keyed-requests.ts'
import { badRequest, headerTooLarge, loopDetected, sendProblem, tooSlow } from './problem.ts'
import type { RouteTable } from './route-table.ts'
import { watchBody } from './slow-body.ts'
import { hasBody, streamThrough } from './stream-through.ts'
import { parseTarget } from './target.ts'
import type { TokenHandler } from './token-requests.ts'
import type { TrustedPeers } from './trusted-peers.ts'
import { isWebSocket, passUpgrade, refuseUpgrade } from './upgrade.ts'
import type { Upstream } from './upstream.ts'

/** What requests are handled with. */
export interface RequestContext {
  readonly options: Pick<GatewayOptions, 'upstreamTimeoutMs' | 'bodyTimeoutMs'>
  readonly upstream: Upstream
  readonly routes: RouteTable
  readonly keyed: KeyedHandler
  readonly issue: TokenHandler
  readonly trusted: TrustedPeers
  readonly rules: ForwardRules
  readonly limits: FramingLimits
  readonly log: Logger
}

/** The two ways a request comes in. */
export interface RequestHandler {
  onRequest(request: IncomingMessage, response: ServerResponse): void
  onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

/** Fields that the gateway sets itself on a keyed request. */
const SET_ON_KEYED: ReadonlySet<string> = new Set(['idempotency-key', 'content-length'])

/** Makes the handler of the public port: checks the framing, finds the route, and guards or streams. */
export function requestHandler(context: RequestContext): RequestHandler {
  const { upstream, routes, keyed, issue, trusted, rules, limits, log, options } = context

  const onFailure = (error: unknown, code: string): void => {
    log.warn({ code, err: error }, 'a request without a key failed at the upstream')
  }

  return {
    onRequest(request, response) {
      // A client that goes is seen by 'close'; without a listener the error of its socket would end the process.
      request.on('error', ignore)
      response.on('error', ignore)
      const fault = framingFault(request, limits)
      if (fault !== undefined) {
        const problem = fault.status === 431 ? headerTooLarge(fault.detail) : badRequest(fault.detail)
        return sendProblem(response, problem, true)
      }
      if (isLoop(rules, request)) return sendProblem(response, loopDetected(), true)
      const target = parseTarget(request.url ?? '')
      if (target === undefined) {
        return sendProblem(
          response,
          badRequest('The request target is not a path that can be read in one way only.'),
          true,
        )
      }
      const body = hasBody(request)
      if (body) {
        watchBody(request, options.bodyTimeoutMs, () => {
          sendProblem(response, tooSlow('The body came too slowly.'), true)
          response.once('finish', () => request.socket.destroySoon())
        })
      }
      const isTrusted = trusted(request.socket.remoteAddress)
      const method = request.method ?? ''
      if (GUARDED_METHODS.includes(method)) {
        const issued = issue({ request, response, path: target.path, trusted: isTrusted })
        const handled =
          issued !== 'pass'
            ? issued
            : keyed({
                request,
                response,
                route: routes(method, target.path),
                path: target.path,
                query: target.query,
                trusted: isTrusted,
                forwarded: () =>
                  forwardedHeaders(rules, { request, trusted: isTrusted, without: SET_ON_KEYED }),
              })
        if (handled !== 'pass') {
          handled.catch((error: unknown) => {
            log.error({ err: error }, 'a keyed request failed inside the gateway')
            response.destroy()
          })
          return
        }
      }
      streamThrough({
        dispatcher: upstream.streaming,
        request,
        response,
        path: target.path + target.query,
        headers: forwardedHeaders(rules, { request, trusted: isTrusted }),
        onFailure: (failure, error) => onFailure(error, failure.code),
      })
    },

    onUpgrade(request, socket, head) {
      const fault = framingFault(request, limits)
      if (fault !== undefined) return refuseUpgrade(socket, fault.detail)
      if (isLoop(rules, request)) return refuseUpgrade(socket, 'The request came back to this gateway.')
      const target = parseTarget(request.url ?? '')
      if (target === undefined) return refuseUpgrade(socket, 'The request target is not a plain path.')
      if (!isWebSocket(request) || hasBody(request)) {
        return refuseUpgrade(
          socket,
          'Only WebSocket upgrades are passed on; send the request without Upgrade.',
        )
      }
      passUpgrade({
        origin: upstream.origin,
        path: target.path + target.query,
        request,
        socket,
        head,
        headers: forwardedHeaders(rules, { request, trusted: trusted(request.socket.remoteAddress) }),
        timeoutMs: options.upstreamTimeoutMs,
        onFailure: (error) => onFailure(error, 'upgrade'),
      })
    },
  }
}

function ignore(): void {}
