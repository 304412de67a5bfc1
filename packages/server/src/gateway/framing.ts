import type { IncomingMessage } from 'node:http'

/** Why a request is refused before anything is done with it. */
export interface FramingFault {
  readonly status: 400 | 431
  readonly detail: string
}

/** What {@link framingFault} holds requests to. */
export interface FramingLimits {
  /** The most header lines. */
  readonly maxHeaders: number
  /** Fields, in lower case, that `Connection` must not name: a hop could strip them and change what the request means. */
  readonly endToEnd: ReadonlySet<string>
}

/** Fields no `Connection` header may name, whatever the scope is. */
export const END_TO_END: readonly string[] = [
  'authorization',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'forwarded',
  'host',
  'idempotency-key',
  'prefer',
]

/**
 * Looks for what the strict parser of Node lets through and two servers could read in two ways: a second Host, body
 * length given twice, HTTP/1.0 with Transfer-Encoding, `Connection` naming an end-to-end field, too many header lines.
 *
 * Works on the raw headers: the parsed ones have dropped and joined what is looked for.
 */
export function framingFault(
  request: Pick<IncomingMessage, 'httpVersion' | 'rawHeaders'>,
  limits: FramingLimits,
): FramingFault | undefined {
  const { rawHeaders } = request
  if (rawHeaders.length > limits.maxHeaders * 2) {
    return { status: 431, detail: `The request has more than ${limits.maxHeaders} header lines.` }
  }
  let hosts = 0
  let lengths = 0
  let encodings = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const value = rawHeaders[index + 1] ?? ''
    switch (rawHeaders[index]?.toLowerCase()) {
      case 'host':
        hosts++
        if (/[\s@/\\?#,]/.test(value)) return bad('The Host field is malformed.')
        break
      case 'content-length':
        lengths++
        if (!/^\d{1,15}$/.test(value)) return bad('The Content-Length field is malformed.')
        break
      case 'transfer-encoding':
        encodings++
        if (value.trim().toLowerCase() !== 'chunked')
          return bad('Only the transfer coding "chunked" is understood.')
        break
      case 'connection': {
        const stripped = value
          .toLowerCase()
          .split(',')
          .map((token) => token.trim())
          .find(
            (token) =>
              limits.endToEnd.has(token) || token.startsWith('onceward-') || token.startsWith('x-forwarded-'),
          )
        if (stripped !== undefined)
          return bad('The Connection field names a field that is not for one hop only.')
        break
      }
    }
  }
  if (hosts === 0 && request.httpVersion === '1.1') return bad('The request has no Host field.')
  if (hosts > 1) return bad('The request has more than one Host field.')
  if (lengths > 1 || encodings > 1 || (lengths > 0 && encodings > 0)) {
    return bad('The length of the body is given more than once.')
  }
  if (encodings > 0 && request.httpVersion !== '1.1') return bad('Transfer-Encoding needs HTTP/1.1.')
  return undefined
}

function bad(detail: string): FramingFault {
  return { status: 400, detail }
}
