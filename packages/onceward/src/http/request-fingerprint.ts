import { hash } from 'node:crypto'
import { parseBoundedJson } from '../core/bounded-json.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { OncewardError } from '../core/errors.ts'
import { isJsonType } from './media-type.ts'
import { isMultipartForm, multipartParts } from './multipart-parts.ts'
import type { HeaderPairs, KeyedRequest, ParsedBody } from './types.ts'

/** The deepest nesting of a JSON body that is compared by its canonical form. */
export const MAX_JSON_DEPTH = 512

/**
 * Digests a request: method, path, query, media type and body, each after its byte length, so that no byte of one can
 * pass for a byte of another. SHA-256 as base64url.
 *
 * With `canonical`, and whenever a parser has left only the value, JSON bodies count by their RFC 8785 form: the digest
 * is the same whether the bytes or the parsed value are given. Numbers then count as IEEE doubles.
 *
 * Of a `multipart/form-data` body its parts count, not the boundary between them: browsers and `FormData` draw a new one
 * each time they send the same form. One that cannot be read so counts byte by byte.
 *
 * @throws `REQUEST_INVALID` for a body that claims to be JSON and is not, or is nested more than 512 levels deep.
 */
export function requestFingerprint(
  request: Pick<KeyedRequest, 'method' | 'path' | 'query' | 'mediaType' | 'headers'>,
  body: Uint8Array | ParsedBody,
  canonical: boolean,
): string {
  const { method, path, query, mediaType } = request
  const head = [method, path, query, mediaType].map(afterLength).join('')
  if (!(body instanceof Uint8Array)) return digest(head + afterLength(canonicalText(body.parsed)))
  if (canonical && isJsonType(mediaType)) return digest(head + afterLength(canonicalText(parseJson(body))))
  if (isMultipartForm(mediaType)) {
    const parts = partsOf(request.headers, body)
    // No body whose bytes count has a digest that begins so: its length follows the head.
    if (parts) return digest(Buffer.concat([Buffer.from(`${head}parts:`), ...parts.flatMap(withLength)]))
  }
  return digest(Buffer.concat([Buffer.from(`${head}${body.byteLength}:`), body]))
}

function partsOf(headers: HeaderPairs, body: Uint8Array): readonly Uint8Array[] | undefined {
  try {
    return multipartParts(headers, body)
  } catch {
    return undefined
  }
}

function withLength(bytes: Uint8Array): readonly Uint8Array[] {
  return [Buffer.from(`${bytes.byteLength}:`), bytes]
}

function afterLength(part: string): string {
  return `${Buffer.byteLength(part)}:${part}`
}

/** In one call: it takes less than half of the time of a hash that is fed in parts. */
function digest(parts: string | Uint8Array): string {
  return hash('sha256', parts, 'base64url')
}

/** Parses JSON bytes whose nesting is bounded. Empty bytes are `undefined`. @throws `REQUEST_INVALID` */
export function parseJson(bytes: Uint8Array): unknown {
  if (bytes.byteLength === 0) return undefined
  try {
    return parseBoundedJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes), MAX_JSON_DEPTH)
  } catch (cause) {
    throw unreadable(`the body is not JSON in UTF-8, nested at most ${MAX_JSON_DEPTH} levels deep`, cause)
  }
}

function canonicalText(value: unknown): string {
  if (value === undefined) return ''
  try {
    return canonicalJson(value)
  } catch (cause) {
    throw unreadable('the body has no canonical JSON form', cause)
  }
}

function unreadable(message: string, cause?: unknown): OncewardError {
  return new OncewardError('REQUEST_INVALID', message, cause === undefined ? {} : { cause })
}
