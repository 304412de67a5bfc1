import type { IncomingMessage, ServerResponse } from 'node:http'
import { tokenIssuer } from 'onceward/http'
import type { Tokens } from 'onceward/tokens'
import type { Logger } from 'pino'
import type { GatewayOptions } from '../config/gateway-options.ts'
import type { CallerOf } from './caller.ts'
import { whyNoCaller } from './caller.ts'
import { send } from './keyed-requests.ts'

/** What issuing tokens takes. */
export interface TokenContext {
  readonly tokens: Tokens
  readonly callerOf: CallerOf
  readonly log: Logger
  readonly options: Pick<
    GatewayOptions,
    'defaults' | 'tokensPath' | 'tokenTtlMs' | 'tokenCookie' | 'maxNewKeys'
  >
}

/** One request for a token. */
export interface TokenExchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly path: string
  readonly trusted: boolean
}

/** Issues a token to whoever asks where tokens are issued; answers `pass` to any other request. */
export type TokenHandler = (exchange: TokenExchange) => 'pass' | Promise<void>

/** Makes the handler of requests for tokens: POST on `tokensPath`, for the caller that the scope of the gateway tells. */
export function tokenHandler({ tokens, callerOf, log, options }: TokenContext): TokenHandler {
  const { tokensPath, tokenTtlMs, tokenCookie, maxNewKeys } = options
  const { scope } = options.defaults
  if (tokensPath === undefined) return () => 'pass'
  const issue = tokenIssuer<TokenExchange>({
    tokens,
    scope: ({ request, trusted }) => callerOf(scope, request, trusted),
    ttlMs: tokenTtlMs,
    ...(tokenCookie === undefined ? {} : { cookie: { name: tokenCookie } }),
    ...(maxNewKeys === 0 ? {} : { quota: { newKeys: maxNewKeys, perMs: 60_000 } }),
  })
  const answer = async (exchange: TokenExchange): Promise<void> => {
    const { request, response, trusted } = exchange
    const issued = await issue(exchange)
    if (issued.code === 'scope-missing')
      log.warn(
        { why: whyNoCaller(scope, request, trusted) },
        'a token was asked for by no known caller: refused',
      )
    log.info({ status: issued.status, code: issued.code }, 'token request')
    send(response, issued, !request.complete)
  }
  return (exchange) =>
    exchange.request.method === 'POST' && exchange.path === tokensPath ? answer(exchange) : 'pass'
}
