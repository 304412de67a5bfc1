import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { HOP_BY_HOP } from 'onceward/http'

/** What is fixed about forwarding for the life of the gateway. */
export interface ForwardRules {
  /** Scope fields, in lower case, that only trusted peers may send. */
  readonly scopeFields: ReadonlySet<string>
  /** The Host of the upstream itself. */
  readonly upstreamHost: string
  /** Whether the upstream gets the Host the client sent, if it sent one. */
  readonly keepHost: boolean
  /** What this gateway calls itself in `Via`; nobody else does. */
  readonly viaName: string
}

/** How one request is forwarded. */
export interface ForwardRequest {
  readonly request: IncomingMessage
  /** Whether the peer's scope and forwarding fields are believed. */
  readonly trusted: boolean
  /** Fields to leave out, in lower case, because the gateway sets or has consumed them. */
  readonly without?: ReadonlySet<string>
}

/**
 * Makes the header of the forwarded request, as name and value in turn.
 *
 * Leaves out the fields of this hop (RFC 9110 section 7.6.1), `Expect`, everything called `Onceward-…`, and, unless the
 * peer is trusted, scope and forwarding fields. A name written with `_` counts as the one with `-`, because services
 * behind CGI-like interfaces cannot tell them apart.
 */
export function forwardedHeaders(rules: ForwardRules, forward: ForwardRequest): string[] {
  const { request, trusted, without } = forward
  const { rawHeaders, headers } = request
  const oneHop = namedByConnection(headers.connection)
  const sent: string[] = []
  let via = `1.1 ${rules.viaName}`
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    const value = rawHeaders[index + 1] ?? ''
    const lower = name.toLowerCase()
    if (NOT_FORWARDED.has(lower) || oneHop?.has(lower) || without?.has(lower)) continue
    if (lower === 'host' || FORWARDING.has(lower)) continue
    const canonical = lower.includes('_') ? lower.replaceAll('_', '-') : lower
    if (canonical.startsWith('onceward-')) continue
    if (canonical !== lower && (FORWARDING.has(canonical) || without?.has(canonical))) continue
    if (!trusted && (rules.scopeFields.has(canonical) || PEER_FIELDS.has(canonical))) continue
    if (lower === 'via') {
      via = `${value}, ${via}`
      continue
    }
    sent.push(name, value)
  }
  const client = request.socket.remoteAddress ?? 'unknown'
  const chain = trusted ? joined(headers['x-forwarded-for']) : undefined
  const secure = request.socket instanceof TLSSocket ? 'https' : 'http'
  const clientHost = headers.host ?? ''
  sent.push('Host', (rules.keepHost && clientHost) || rules.upstreamHost)
  sent.push('X-Forwarded-For', chain ? `${chain}, ${client}` : client)
  sent.push('X-Forwarded-Proto', (trusted && joined(headers['x-forwarded-proto'])) || secure)
  const forwardedHost = (trusted && joined(headers['x-forwarded-host'])) || clientHost
  if (forwardedHost !== '') sent.push('X-Forwarded-Host', forwardedHost)
  sent.push('Via', via)
  return sent
}

/** Whether a request has been through this gateway before (RFC 9110 section 7.6.3). */
export function isLoop({ viaName }: ForwardRules, request: IncomingMessage): boolean {
  return request.headers.via?.includes(viaName) === true
}

/**
 * Makes the header of the passed-on response, as name and value in turn: without the fields of the upstream hop and
 * without `Onceward-…`, which are for the gateway only.
 */
export function responseHeaders(raw: readonly (Buffer | string)[]): string[] {
  const sent: string[] = []
  let oneHop: Set<string> | undefined
  for (let index = 0; index < raw.length; index += 2) {
    const name = String(raw[index])
    const value = latin1(raw[index + 1] ?? '')
    const lower = name.toLowerCase()
    if (lower === 'connection') oneHop = new Set([...(oneHop ?? []), ...(namedByConnection(value) ?? [])])
    if (NOT_FORWARDED.has(lower) || lower.startsWith('onceward-')) continue
    sent.push(name, value)
  }
  if (oneHop === undefined) return sent
  return sent.filter((_, index) => !oneHop.has((sent[index - (index % 2)] ?? '').toLowerCase()))
}

/** Text of a header field as it was sent. */
export function latin1(value: Buffer | string): string {
  return typeof value === 'string' ? value : value.toString('latin1')
}

/** The lower-case names a `Connection` field lists, its own words excepted. */
export function namedByConnection(value: string | undefined): Set<string> | undefined {
  if (value === undefined || ALONE.has(value)) return undefined
  const named = value
    .toLowerCase()
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== 'close' && token !== 'keep-alive' && token !== '')
  return named.length === 0 ? undefined : new Set(named)
}

function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}

/** What `Connection` nearly always says; it names no field. */
const ALONE: ReadonlySet<string> = new Set([
  'keep-alive',
  'Keep-Alive',
  'close',
  'Close',
  'upgrade',
  'Upgrade',
])

/** Fields that end at this gateway, in lower case: those of one hop, and what it answers itself. */
export const NOT_FORWARDED: ReadonlySet<string> = new Set([...HOP_BY_HOP, 'expect', 'http2-settings'])

/** Set by this gateway on every request. */
const FORWARDING: ReadonlySet<string> = new Set(['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'])

/** What a peer says about where it or its client is; believed from trusted ones only. */
const PEER_FIELDS: ReadonlySet<string> = new Set([
  'forwarded',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-server',
  'x-forwarded-ssl',
  'x-real-ip',
])
