import type { HeaderPairs } from './types.ts'

/** Fields that belong to one connection (RFC 9110 section 7.6.1), and those that only proxies use. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Response fields that are stored and told again: they describe the body or the resource, never the caller. */
export const REPLAYED_HEADERS: readonly string[] = [
  'accept-ranges',
  'access-control-allow-credentials',
  'access-control-allow-origin',
  'access-control-expose-headers',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-location',
  'content-range',
  'content-security-policy',
  'content-type',
  'cross-origin-embedder-policy',
  'cross-origin-opener-policy',
  'cross-origin-resource-policy',
  'deprecation',
  'etag',
  'last-modified',
  'link',
  'location',
  'permissions-policy',
  'referrer-policy',
  'strict-transport-security',
  'sunset',
  'vary',
  'x-content-type-options',
  'x-frame-options',
]

/** Response fields that are never stored, whatever a list says: credentials, the connection's own, and the guard's own. */
export const NEVER_STORED: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  'age',
  'authentication-info',
  'authorization',
  'cache-control',
  'content-length',
  'cookie',
  'date',
  'expires',
  'idempotency-bypassed',
  'idempotency-expires',
  'idempotency-key',
  'idempotent-replayed',
  'onceward-effect',
  'pragma',
  'proxy-authentication-info',
  'set-cookie',
  'set-cookie2',
  'www-authenticate',
])

/** The field by which a handler or an upstream says what a failure did. It never leaves, and is never believed of a client. */
export const EFFECT_FIELD = 'onceward-effect'

/** Request fields that only the guard itself may add. */
const OWN_REQUEST_FIELDS: ReadonlySet<string> = new Set([EFFECT_FIELD, 'onceward-fence', 'onceward-attempt'])

/**
 * Makes the set of fields to store: the standard ones and `extra`.
 *
 * @throws `TypeError` for a field that must never be replayed.
 */
export function replayedHeaders(extra: readonly string[] = []): ReadonlySet<string> {
  for (const name of extra) {
    if (NEVER_STORED.has(name.toLowerCase())) {
      throw new TypeError(`replayHeaders must not name ${name}: it is never told again`)
    }
  }
  return new Set([...REPLAYED_HEADERS, ...extra.map((name) => name.toLowerCase())])
}

/** Keeps the fields to store; those that `Connection` names are the connection's own and are dropped. */
export function storedHeaders(headers: HeaderPairs, replayed: ReadonlySet<string>): HeaderPairs {
  const named = connectionFields(headers)
  return headers.filter(([name]) => {
    const lower = name.toLowerCase()
    return replayed.has(lower) && !NEVER_STORED.has(lower) && !named.has(lower)
  })
}

/** Response fields that the guard says itself. A guarded handler behind another guard would say them twice. */
const OWN_RESPONSE_FIELDS: ReadonlySet<string> = new Set([
  EFFECT_FIELD,
  'idempotency-bypassed',
  'idempotency-expires',
  'idempotency-key',
])

/** Drops what must not leave in a response that is passed on: the word on the effect, and what the guard says itself. */
export function outwardHeaders(headers: HeaderPairs): HeaderPairs {
  return headers.filter(([name]) => !OWN_RESPONSE_FIELDS.has(name.toLowerCase()))
}

/** Drops the framing of a message, which is made anew by whoever sends a whole body. */
export function unframedHeaders(headers: HeaderPairs): HeaderPairs {
  return headers.filter(([name]) => {
    const lower = name.toLowerCase()
    return lower !== 'content-length' && lower !== 'transfer-encoding'
  })
}

/** Drops the request fields that only the guard may set, so that no client can forge them. */
export function trustedRequestHeaders(headers: HeaderPairs): HeaderPairs {
  return headers.filter(([name]) => !OWN_REQUEST_FIELDS.has(name.toLowerCase()))
}

/** The lower-case names that the `Connection` fields list. */
export function connectionFields(headers: HeaderPairs): ReadonlySet<string> {
  const named = new Set<string>()
  for (const [name, value] of headers) {
    if (name.toLowerCase() !== 'connection') continue
    for (const token of value.split(',')) named.add(token.trim().toLowerCase())
  }
  return named
}

/** The value of the last field of this name; `undefined` when absent. */
export function headerValue(headers: HeaderPairs, name: string): string | undefined {
  return headers.findLast(([other]) => other.toLowerCase() === name)?.[1]
}
