import { usageError } from '../exit-codes.ts'
import type { GatewayOptions } from './gateway-options.ts'

/** Refuses scopes that could tell no caller. @throws `CommandError` (usage). */
export function assertScopesCanWork(options: GatewayOptions): void {
  const scopes = [options.defaults, ...options.routes.map((route) => route.policy)].map(
    (policy) => policy.scope,
  )
  if (scopes.some((scope) => scope.kind === 'jwt') && options.jwt === undefined) {
    throw usageError(
      '--scope jwt needs a key to verify tokens with: --jwt-secret-file, --jwt-public-key-file or --jwt-jwks-file',
    )
  }
  if (scopes.some((scope) => scope.kind === 'cert') && options.tls?.ca === undefined) {
    throw usageError(
      '--scope cert needs --tls-cert, --tls-key and --tls-ca, so that client certificates can be verified',
    )
  }
}

/**
 * Refuses routes of issued keys that nobody could use: a token is issued by the scope of the gateway, so no caller of a
 * route with another one could have any.
 *
 * @throws `CommandError` (usage).
 */
export function assertTokensCanWork(options: GatewayOptions): void {
  const { defaults, routes, tokensPath, tokenCookie } = options
  if (tokenCookie !== undefined && tokensPath === undefined)
    throw usageError('--token-cookie needs --tokens-path, where the cookie is set')
  for (const { path, policy } of routes) {
    const { tokenFrom } = policy
    if (policy.key !== 'issued') {
      if (tokenFrom === undefined) continue
      throw usageError(`route ${path}: tokenFrom needs key "issued"; other keys are in Idempotency-Key`)
    }
    if (tokenFrom !== undefined && Object.keys(tokenFrom).length === 0)
      throw usageError(`route ${path}: tokenFrom names no place; give a "header", "field" or "cookie"`)
    if (tokenCookie !== undefined && tokenFrom?.cookie !== tokenCookie)
      throw usageError(
        `route ${path}: key "issued" needs "tokenFrom": { "cookie": "${tokenCookie}" }, where --token-cookie sets it`,
      )
    if (tokensPath === undefined)
      throw usageError(`route ${path}: key "issued" needs --tokens-path, where keys are issued`)
    if (JSON.stringify(policy.scope) !== JSON.stringify(defaults.scope))
      throw usageError(
        `route ${path}: key "issued" needs the scope of the gateway, to which tokens are issued`,
      )
    if (policy.failOpen)
      throw usageError(
        `route ${path}: key "issued" and failOpen exclude each other: no token can be checked while the store is down`,
      )
  }
}
