/** A request as a case sends it. */
export interface BenchRequest {
  /** Default `POST`. */
  readonly method?: string
  /** With the query. Default `/payments`. */
  readonly path?: string
  /** The idempotency key exactly as it stands in the field. Absent: no field. */
  readonly key?: string
  /** Further fields, each sent as it is. */
  readonly headers?: readonly (readonly [name: string, value: string])[]
  /** Default for `POST`, `PUT` and `PATCH`: a small JSON document, always the same. `null`: none. */
  readonly body?: string | Uint8Array | null
  /** Sends the body in chunks of this many bytes, without a length in front. */
  readonly chunkBytes?: number
  /** The caller, as told by the scope field. Default `acme`. `null`: the field is not sent. */
  readonly tenant?: string | null
}

/** The request field that names the caller. */
export const TENANT = 'x-tenant'

/** The media type of the default body. */
export const JSON_TYPE: readonly [string, string] = ['content-type', 'application/json']

const DEFAULT_BODY = JSON.stringify({ order: 'o-7', amount: 1200 })

/** Writes a request as bytes. */
export function encodeRequest(request: BenchRequest, ...extra: (readonly [string, string])[]): Uint8Array {
  const { method = 'POST', path = '/payments', key, headers = [], tenant = 'acme', chunkBytes } = request
  const hasBody = request.body !== null && (request.body !== undefined || /^(POST|PUT|PATCH)$/.test(method))
  const body = Buffer.from(hasBody ? (request.body ?? DEFAULT_BODY) : '')
  const named = new Set(headers.map(([name]) => name.toLowerCase()))
  const fields: (readonly [string, string])[] = [
    ['host', '127.0.0.1'],
    ...extra,
    ...(tenant === null ? [] : [[TENANT, tenant] as const]),
    ...(key === undefined ? [] : [['idempotency-key', key] as const]),
    ...(hasBody && !named.has('content-type') ? [JSON_TYPE] : []),
    ...headers,
  ]
  if (hasBody && chunkBytes === undefined) fields.push(['content-length', `${body.length}`])
  if (hasBody && chunkBytes !== undefined) fields.push(['transfer-encoding', 'chunked'])
  const head = `${method} ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
  if (chunkBytes === undefined) return Buffer.concat([Buffer.from(head, 'latin1'), body])
  const parts: Buffer[] = [Buffer.from(head, 'latin1')]
  for (let at = 0; at < body.length; at += chunkBytes) {
    const part = body.subarray(at, at + chunkBytes)
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'))
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')])
}
