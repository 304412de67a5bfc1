import * as v from 'valibot'
import { bytes, cookieName, count, fieldName, milliseconds, scope, text, url } from './fields.ts'
import { type TokenFromConfig, tokenFromSchema } from './token-from.ts'

/** What can be set for all routes, and again for one. */
const policy = {
  scope: v.optional(scope()),
  retentionMs: v.optional(milliseconds(1, 'How long a finished operation is remembered, from its end.')),
  leaseMs: v.optional(
    milliseconds(50, 'How long a claim holds without renewal; a crashed gateway is noticed after it.'),
  ),
  waitMs: v.optional(milliseconds(0, 'How long a duplicate of a running operation waits for its answer.')),
  maxBodyBytes: v.optional(bytes('The largest body of a keyed request; a larger one is answered 413.')),
  maxResponseBytes: v.optional(
    bytes('The largest response that is stored; a larger one passes through and cannot be replayed.'),
  ),
  onCrash: v.optional(
    v.pipe(
      v.picklist(['hold', 'rerun'], 'give hold or rerun'),
      v.description(
        'What a gateway crash means: hold (nobody reruns it) or rerun (the next duplicate does).',
      ),
    ),
  ),
  maxWaiters: v.optional(
    count(
      0,
      1_000_000,
      'The most requests that wait for one operation in one gateway; more are answered 409.',
    ),
  ),
  canonicalJson: v.optional(
    v.pipe(
      v.boolean('give true or false'),
      v.description('Whether JSON bodies are compared by their canonical form instead of byte by byte.'),
    ),
  ),
  onServerError: v.optional(
    v.pipe(
      v.picklist(['hold', 'store', 'release'], 'give hold, store or release'),
      v.description('What a 5xx of the upstream means, unless it sends Onceward-Effect.'),
    ),
  ),
  replayHeaders: v.optional(
    v.pipe(
      v.array(fieldName('The name of a response header.'), 'give a list of header names'),
      v.description('Response headers that are stored and replayed beside the usual ones.'),
    ),
  ),
  reconcile: v.optional(
    url('Asked with GET and the key what became of a held operation: 200 done, 404 did not happen.'),
  ),
}

const JWT_ALGORITHMS = [
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'ES256',
  'ES384',
  'EdDSA',
] as const

/** The methods that take a key. */
export const KEYED_METHODS = ['POST', 'PATCH', 'PUT', 'DELETE'] as const
const method = v.picklist(KEYED_METHODS, 'give POST, PATCH, PUT or DELETE')

/** The fields a key is derived from. */
export const derivedKeySchema: v.GenericSchema<unknown, DerivedKeyConfig> = v.strictObject({
  json: v.optional(
    v.pipe(
      v.array(text('The name of a field, with dots for nested ones.'), 'give a list of field names'),
      v.description('Fields of the JSON body the key is derived from, for example order.id.'),
    ),
  ),
  headers: v.optional(
    v.pipe(
      v.array(fieldName('The name of a request header.'), 'give a list of header names'),
      v.description('Request headers the key is derived from.'),
    ),
  ),
})

/** One route of the gateway. The first that matches a request is used. */
export const routeSchema: v.GenericSchema<unknown, RouteConfig> = v.strictObject({
  name: v.optional(text('What logs call this route; required by failOpen.')),
  method: v.optional(
    v.pipe(
      v.union([method, v.array(method)], 'give POST, PATCH, PUT, DELETE or a list of them'),
      v.description('The methods this route is for. Default: all four.'),
    ),
  ),
  path: v.pipe(
    v.string('give a path pattern such as /payments/:id'),
    v.startsWith('/', 'must start with /'),
    v.description('A pattern: /payments/:id, or /admin/* for everything below.'),
  ),
  key: v.optional(
    v.pipe(
      v.union(
        [v.picklist(['required', 'optional', 'ignored', 'issued']), derivedKeySchema],
        'give required, optional, ignored, issued or { "json": […], "headers": […] }',
      ),
      v.description(
        'Whether the key is required, optional, ignored, issued (one that tokensPath has issued is required), or derived from fields of the request.',
      ),
    ),
  ),
  tokenFrom: v.optional(tokenFromSchema),
  ...policy,
  failOpen: v.optional(
    v.pipe(
      v.boolean('give true or false'),
      v.description(
        'Whether keyed requests of this route are forwarded unprotected while the store is down. Needs a name.',
      ),
    ),
  ),
})

/** The whole configuration, as `onceward.config.json` holds it. */
export const configSchema: v.GenericSchema<unknown, Config> = v.strictObject({
  $schema: v.optional(text('The JSON Schema of this file, for editors.')),
  upstream: v.optional(url('The service behind the gateway.')),
  store: v.optional(
    text(
      'Where operations are remembered: sqlite:FILE, redis://…, postgres://… or mysql://…; see docs/gateway.md.',
    ),
  ),
  cache: v.optional(text('A Redis before a SQL store, redis://…, which answers repeated replays.')),
  migrate: v.optional(
    v.pipe(
      v.boolean('give true or false'),
      v.description('Whether the start brings the schema of a PostgreSQL or MySQL store up to date.'),
    ),
  ),
  encryptionKeyFile: v.optional(
    text(
      'A file with the keys that stored outcomes are sealed with: one id:base64 a line, the first one seals.',
    ),
  ),
  encryption: v.optional(
    v.pipe(
      v.picklist(['on', 'accept-plain', 'write-plain'], 'give on, accept-plain or write-plain'),
      v.description(
        'With keys: on (all is sealed), or accept-plain and write-plain while encryption is being introduced.',
      ),
    ),
  ),
  host: v.optional(text('The address to listen on.')),
  port: v.optional(count(0, 65_535, 'The port to listen on; 0 takes a free one.')),
  adminHost: v.optional(text('The address of the admin port; only loopback is possible yet.')),
  adminPort: v.optional(count(0, 65_535, 'The port of /healthz and /readyz; 0 takes a free one.')),
  requireKey: v.optional(
    v.pipe(v.boolean('give true or false'), v.description('Whether every keyed method needs a key.')),
  ),
  tokensPath: v.optional(
    v.pipe(
      v.string('give a path such as /onceward/tokens'),
      v.regex(/^\/[^?#*:\s]+$/, 'give a path such as /onceward/tokens'),
      v.description('Where POST issues one-time tokens, which are taken as keys; without it nowhere.'),
    ),
  ),
  tokenTtlMs: v.optional(milliseconds(1, 'How long an issued token may be presented.')),
  tokenCookie: v.optional(cookieName('The cookie that issued tokens are set in, in place of being told.')),
  ...policy,
  trustProxy: v.optional(
    v.pipe(
      v.array(text('An address or a CIDR.'), 'give a list of addresses or CIDRs'),
      v.description('Peers whose scope and X-Forwarded-* fields are believed, beside loopback.'),
    ),
  ),
  upstreamTimeoutMs: v.optional(milliseconds(1, 'How long the upstream may take to begin its answer.')),
  storeTimeoutMs: v.optional(
    milliseconds(1, 'How long the store may leave a claim unanswered before the request is answered 503.'),
  ),
  headersTimeoutMs: v.optional(milliseconds(1, 'How long a client may take to send its header.')),
  bodyTimeoutMs: v.optional(
    milliseconds(1, 'How long a client may take to send a body, unless it keeps up 1 KiB a second.'),
  ),
  shutdownMs: v.optional(milliseconds(0, 'How long what runs may take to finish after SIGTERM.')),
  maxHeaders: v.optional(count(10, 2000, 'The most header lines of a request.')),
  maxNewKeys: v.optional(
    count(
      0,
      1_000_000_000,
      'The most new operations of one scope per minute, route and gateway; 0 is no limit.',
    ),
  ),
  tlsCert: v.optional(text('A PEM file with the certificate of the gateway.')),
  tlsKey: v.optional(text('A PEM file with its private key.')),
  tlsCa: v.optional(text('A PEM file with the authorities of client certificates, for scope cert.')),
  jwtSecret: v.optional(text('The HS256 secret itself; better given by file or environment.')),
  jwtSecretFile: v.optional(text('A file with the HS256 secret.')),
  jwtPublicKeyFile: v.optional(text('A PEM file with the public key of the issuer.')),
  jwtJwksFile: v.optional(text('A JWKS file with the public keys of the issuer.')),
  jwtAlgorithm: v.optional(
    v.pipe(
      v.picklist(JWT_ALGORITHMS, `give one of ${JWT_ALGORITHMS.join(', ')}`),
      v.description(
        'The one signature algorithm that is accepted. Default: HS256 with a secret, else RS256.',
      ),
    ),
  ),
  jwtIssuer: v.optional(text('The issuer a token must name.')),
  jwtAudience: v.optional(text('The audience a token must name.')),
  logLevel: v.optional(
    v.pipe(
      v.picklist(['silent', 'error', 'warn', 'info', 'debug'], 'give silent, error, warn, info or debug'),
      v.description('What is logged on stderr.'),
    ),
  ),
  routes: v.optional(
    v.pipe(v.array(routeSchema, 'give a list of routes'), v.description('Routes, the first match is used.')),
  ),
})

/** A signature algorithm of JWT scopes. */
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number]

/** A method that takes a key. */
export type KeyedMethod = (typeof KEYED_METHODS)[number]

/** What can be set for all routes, and again for one. */
export interface PolicyConfig {
  scope?: string | undefined
  retentionMs?: number | undefined
  leaseMs?: number | undefined
  waitMs?: number | undefined
  maxBodyBytes?: number | undefined
  maxResponseBytes?: number | undefined
  onCrash?: 'hold' | 'rerun' | undefined
  maxWaiters?: number | undefined
  canonicalJson?: boolean | undefined
  onServerError?: 'hold' | 'store' | 'release' | undefined
  replayHeaders?: string[] | undefined
  reconcile?: string | undefined
}

/** The fields a key is derived from. */
export interface DerivedKeyConfig {
  json?: string[] | undefined
  headers?: string[] | undefined
}

/** One route, as configured. */
export interface RouteConfig extends PolicyConfig {
  name?: string | undefined
  method?: KeyedMethod | KeyedMethod[] | undefined
  path: string
  key?: 'required' | 'issued' | 'optional' | 'ignored' | DerivedKeyConfig | undefined
  tokenFrom?: TokenFromConfig | undefined
  failOpen?: boolean | undefined
}

/** The configuration, as given: every field is optional, defaults are applied later. */
export interface Config extends PolicyConfig {
  $schema?: string | undefined
  upstream?: string | undefined
  store?: string | undefined
  cache?: string | undefined
  migrate?: boolean | undefined
  encryptionKeyFile?: string | undefined
  encryption?: 'on' | 'accept-plain' | 'write-plain' | undefined
  host?: string | undefined
  port?: number | undefined
  adminHost?: string | undefined
  adminPort?: number | undefined
  requireKey?: boolean | undefined
  tokensPath?: string | undefined
  tokenTtlMs?: number | undefined
  tokenCookie?: string | undefined
  trustProxy?: string[] | undefined
  upstreamTimeoutMs?: number | undefined
  storeTimeoutMs?: number | undefined
  headersTimeoutMs?: number | undefined
  bodyTimeoutMs?: number | undefined
  shutdownMs?: number | undefined
  maxHeaders?: number | undefined
  maxNewKeys?: number | undefined
  tlsCert?: string | undefined
  tlsKey?: string | undefined
  tlsCa?: string | undefined
  jwtSecret?: string | undefined
  jwtSecretFile?: string | undefined
  jwtPublicKeyFile?: string | undefined
  jwtJwksFile?: string | undefined
  jwtAlgorithm?: JwtAlgorithm | undefined
  jwtIssuer?: string | undefined
  jwtAudience?: string | undefined
  logLevel?: 'silent' | 'error' | 'warn' | 'info' | 'debug' | undefined
  routes?: RouteConfig[] | undefined
}
