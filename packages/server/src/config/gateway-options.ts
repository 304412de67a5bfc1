import type { TokenSource } from 'onceward/http'
import { usageError } from '../exit-codes.ts'
import { assertScopesCanWork, assertTokensCanWork } from './assert-options.ts'
import {
  type Config,
  type DerivedKeyConfig,
  KEYED_METHODS,
  type KeyedMethod,
  type PolicyConfig,
} from './config-schema.ts'
import type { LoadedConfig } from './load-config.ts'
import { tokenSource } from './token-from.ts'

/** How callers are told apart. */
export type ScopeRule =
  | { readonly kind: 'public' }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'jwt'; readonly claim: string }
  | { readonly kind: 'cert' }

/** What applies to the requests of one route, defaults included. */
export interface RoutePolicy {
  readonly scope: ScopeRule
  readonly key: 'required' | 'issued' | 'optional' | 'ignored' | DerivedKeyConfig
  /** Where an issued key is, if not in its own field. */
  readonly tokenFrom: TokenSource | undefined
  readonly retentionMs: number
  readonly leaseMs: number
  readonly waitMs: number
  readonly maxBodyBytes: number
  readonly maxResponseBytes: number
  readonly maxWaiters: number
  readonly canonicalJson: boolean
  readonly onCrash: 'hold' | 'rerun'
  readonly onServerError: 'hold' | 'store' | 'release'
  readonly replayHeaders: readonly string[]
  readonly reconcile: string | undefined
  readonly failOpen: boolean
}

/** A route, ready to be matched. */
export interface RouteOptions {
  /** What logs call it: its name, or its path. */
  readonly name: string
  readonly methods: readonly KeyedMethod[]
  readonly path: string
  readonly policy: RoutePolicy
}

/** Everything the gateway runs on, defaults included. */
export interface GatewayOptions {
  readonly upstream: URL
  readonly store: string
  readonly cache: string | undefined
  readonly migrate: boolean
  readonly encryptionKeyFile: string | undefined
  readonly encryption: 'on' | 'accept-plain' | 'write-plain'
  readonly host: string
  readonly port: number
  readonly adminHost: string
  readonly adminPort: number
  /** Where tokens are issued, if anywhere. */
  readonly tokensPath: string | undefined
  readonly tokenTtlMs: number
  readonly tokenCookie: string | undefined
  readonly trustProxy: readonly string[]
  readonly upstreamTimeoutMs: number
  readonly storeTimeoutMs: number
  readonly headersTimeoutMs: number
  readonly bodyTimeoutMs: number
  readonly shutdownMs: number
  readonly maxHeaders: number
  readonly maxNewKeys: number
  readonly tls: { readonly cert: string; readonly key: string; readonly ca?: string } | undefined
  readonly jwt: JwtOptions | undefined
  readonly logLevel: 'silent' | 'error' | 'warn' | 'info' | 'debug'
  /** For requests that no route matches. */
  readonly defaults: RoutePolicy
  readonly routes: readonly RouteOptions[]
}

/** How tokens are verified. */
export interface JwtOptions {
  readonly algorithm: string
  readonly key:
    | { readonly kind: 'secret'; readonly secret: string }
    | { readonly kind: 'secret-file' | 'public-key-file' | 'jwks-file'; readonly file: string }
  readonly issuer?: string
  readonly audience?: string
}

/** The values of every field that was not given. */
export const DEFAULTS: {
  readonly [Field in keyof Config]?: NonNullable<Config[Field]>
} = {
  store: 'sqlite:.onceward/onceward.sqlite',
  migrate: false,
  encryption: 'on',
  host: '127.0.0.1',
  port: 8080,
  adminHost: '127.0.0.1',
  adminPort: 8081,
  requireKey: false,
  tokenTtlMs: 3_600_000,
  retentionMs: 86_400_000,
  leaseMs: 30_000,
  waitMs: 30_000,
  maxBodyBytes: 1_048_576,
  maxResponseBytes: 1_048_576,
  maxWaiters: 1000,
  canonicalJson: false,
  onCrash: 'hold',
  onServerError: 'hold',
  trustProxy: [],
  upstreamTimeoutMs: 60_000,
  storeTimeoutMs: 10_000,
  headersTimeoutMs: 10_000,
  bodyTimeoutMs: 30_000,
  shutdownMs: 30_000,
  maxHeaders: 200,
  maxNewKeys: 0,
  logLevel: 'info',
}

/** Applies the defaults, and refuses what does not go together. @throws `CommandError` (usage). */
export function gatewayOptions(loaded: LoadedConfig): GatewayOptions {
  const given = loaded.config
  const config = { ...DEFAULTS, ...given } as Config & Required<typeof DEFAULTS>
  if (given.upstream === undefined) {
    throw usageError(
      '--upstream is missing: give the service behind the gateway, such as http://localhost:3000',
    )
  }
  if (given.scope === undefined) {
    throw usageError(
      '--scope is missing: tell callers apart by header:NAME, jwt:CLAIM or cert, or say public if they may share keys',
    )
  }
  if (given.encryption !== undefined && given.encryptionKeyFile === undefined) {
    throw usageError('--encryption needs --encryption-key-file: there is nothing to encrypt with')
  }
  const upstream = new URL(given.upstream)
  if (upstream.pathname !== '/' || upstream.search !== '' || upstream.hash !== '') {
    throw usageError(`--upstream: give scheme, host and port only, such as ${upstream.origin}`)
  }
  if (upstream.username !== '' || upstream.password !== '') {
    throw usageError(
      '--upstream: credentials in the URL are not sent; let clients send them, and leave them out here',
    )
  }
  if (!isLoopbackName(config.adminHost)) {
    throw usageError(
      `--admin-host ${config.adminHost}: the admin port has no credentials yet and listens on loopback only; use 127.0.0.1`,
    )
  }
  const scope = given.scope
  const defaults = policyOf({ ...config, scope }, config.requireKey ? 'required' : 'optional', false)
  const routes = (given.routes ?? []).map((route): RouteOptions => {
    const { name, path, method, key, tokenFrom, failOpen, ...overrides } = route
    const methods = method === undefined ? KEYED_METHODS : Array.isArray(method) ? method : [method]
    if (typeof key === 'object' && !key.json?.length && !key.headers?.length) {
      throw usageError(`route ${path}: key derives from nothing; name fields in "json" or "headers"`)
    }
    const merged = { ...config, ...overrides, scope: overrides.scope ?? scope }
    return {
      name: name ?? path,
      methods,
      path,
      policy: policyOf(merged, key ?? defaults.key, failOpen ?? false, tokenSource(tokenFrom)),
    }
  })
  const options: GatewayOptions = {
    upstream,
    store: config.store,
    cache: given.cache,
    migrate: config.migrate,
    encryptionKeyFile: given.encryptionKeyFile,
    encryption: config.encryption,
    host: config.host,
    port: config.port,
    adminHost: config.adminHost,
    adminPort: config.adminPort,
    tokensPath: given.tokensPath,
    tokenTtlMs: config.tokenTtlMs,
    tokenCookie: given.tokenCookie,
    trustProxy: config.trustProxy,
    upstreamTimeoutMs: config.upstreamTimeoutMs,
    storeTimeoutMs: config.storeTimeoutMs,
    headersTimeoutMs: config.headersTimeoutMs,
    bodyTimeoutMs: config.bodyTimeoutMs,
    shutdownMs: config.shutdownMs,
    maxHeaders: config.maxHeaders,
    maxNewKeys: config.maxNewKeys,
    tls: tlsOptions(given),
    jwt: jwtOptions(given),
    logLevel: config.logLevel,
    defaults,
    routes,
  }
  assertScopesCanWork(options)
  assertTokensCanWork(options)
  assertNotItself(options)
  return options
}

/** Whether a host name or address means this machine only. */
export function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

function policyOf(
  config: PolicyConfig & { readonly scope: string },
  key: RoutePolicy['key'],
  failOpen: boolean,
  tokenFrom?: TokenSource,
): RoutePolicy {
  const merged = { ...DEFAULTS, ...config } as Required<{
    [F in keyof PolicyConfig]: NonNullable<PolicyConfig[F]>
  }>
  return {
    scope: scopeRule(config.scope),
    key,
    tokenFrom,
    retentionMs: merged.retentionMs,
    leaseMs: merged.leaseMs,
    waitMs: merged.waitMs,
    maxBodyBytes: merged.maxBodyBytes,
    maxResponseBytes: merged.maxResponseBytes,
    maxWaiters: merged.maxWaiters,
    canonicalJson: merged.canonicalJson,
    onCrash: merged.onCrash,
    onServerError: merged.onServerError,
    replayHeaders: config.replayHeaders ?? [],
    reconcile: config.reconcile,
    failOpen,
  }
}

function scopeRule(text: string): ScopeRule {
  if (text === 'public' || text === 'cert') return { kind: text }
  const colon = text.indexOf(':')
  const rest = text.slice(colon + 1)
  return text.startsWith('jwt:') ? { kind: 'jwt', claim: rest } : { kind: 'header', name: rest.toLowerCase() }
}

function tlsOptions(config: Config): GatewayOptions['tls'] {
  const { tlsCert: cert, tlsKey: key, tlsCa: ca } = config
  if (cert === undefined && key === undefined && ca === undefined) return undefined
  if (cert === undefined || key === undefined) {
    throw usageError('TLS needs both --tls-cert and --tls-key, each a PEM file')
  }
  return { cert, key, ...(ca === undefined ? {} : { ca }) }
}

function jwtOptions(config: Config): JwtOptions | undefined {
  const given = [config.jwtSecret, config.jwtSecretFile, config.jwtPublicKeyFile, config.jwtJwksFile]
  const count = given.filter((value) => value !== undefined).length
  if (count === 0) return undefined
  if (count > 1) {
    throw usageError(
      'give one of --jwt-secret-file, --jwt-public-key-file, --jwt-jwks-file (or ONCEWARD_JWT_SECRET), not several',
    )
  }
  const symmetric = config.jwtSecret !== undefined || config.jwtSecretFile !== undefined
  const algorithm = config.jwtAlgorithm ?? (symmetric ? 'HS256' : 'RS256')
  if (algorithm.startsWith('HS') !== symmetric) {
    throw usageError(
      `--jwt-algorithm ${algorithm} does not go with ${symmetric ? 'a secret; use HS256' : 'public keys; use RS256 or ES256'}`,
    )
  }
  const key: JwtOptions['key'] =
    config.jwtSecret !== undefined
      ? { kind: 'secret', secret: config.jwtSecret }
      : config.jwtSecretFile !== undefined
        ? { kind: 'secret-file', file: config.jwtSecretFile }
        : config.jwtPublicKeyFile !== undefined
          ? { kind: 'public-key-file', file: config.jwtPublicKeyFile }
          : { kind: 'jwks-file', file: config.jwtJwksFile ?? '' }
  return {
    algorithm,
    key,
    ...(config.jwtIssuer === undefined ? {} : { issuer: config.jwtIssuer }),
    ...(config.jwtAudience === undefined ? {} : { audience: config.jwtAudience }),
  }
}

/** A gateway that is its own upstream would ask itself for ever. With port 0 it shows at the first request only. */
function assertNotItself({ upstream, host, port, adminHost, adminPort }: GatewayOptions): void {
  const upstreamPort = Number(upstream.port || (upstream.protocol === 'https:' ? 443 : 80))
  const name = upstream.hostname.replace(/^\[|\]$/g, '')
  const here = (own: string): boolean =>
    name === own || (isLoopbackName(name) && (isLoopbackName(own) || own === '0.0.0.0' || own === '::'))
  if ((upstreamPort === port && here(host)) || (upstreamPort === adminPort && here(adminHost))) {
    throw usageError(
      `--upstream ${upstream.origin}: is where this gateway itself listens; name the service behind it, or choose another --port`,
    )
  }
}
