import { OncewardError } from '../core/errors.ts'
import { refuseUnknown, written } from '../core/known-fields.ts'
import { isJsonType } from './media-type.ts'
import { multipartField } from './multipart-field.ts'
import { isMultipartForm } from './multipart-parts.ts'
import { parseJson } from './request-fingerprint.ts'
import type { HeaderPairs, KeyedRequest, ParsedBody } from './types.ts'

/** Where requests carry their one-time token. Two different tokens in one request are refused, wherever they stand. */
export interface TokenSource {
  /** A field of the header, for example `X-Form-Token`. */
  readonly header?: string
  /**
   * A field of the body: of a form (`application/x-www-form-urlencoded` or `multipart/form-data`), or at the top of a
   * JSON object.
   */
  readonly field?: string
  /** A cookie, such as `issueToken` sets it: `__Host-once-token`. */
  readonly cookie?: string
}

/** What a request without a token is told. */
export const NO_TOKEN = 'This request needs a one-time token.'

/** Checks a {@link TokenSource}. @throws `TypeError` that names what is wrong. */
export function checkTokenSource(source: TokenSource): void {
  refuseUnknown('tokenFrom', source, ['header', 'field', 'cookie'])
  const names = Object.entries(source)
  if (names.length === 0)
    throw new TypeError(
      "tokenFrom names no place; say for example tokenFrom: { field: 'token' }, or leave it out",
    )
  for (const [place, name] of names) {
    if (typeof name !== 'string' || name === '')
      throw new TypeError(`tokenFrom.${place} must be the name of a ${place}, not ${written(name)}`)
  }
}

/**
 * Finds the token that a request presents. It is the same whether the bytes of the body or what a parser made of them
 * are given.
 *
 * Limit: of a `multipart/form-data` body at most 1,000 parts are looked through, and one that two readers could cut in two
 * ways is refused (see `multipartParts`).
 *
 * @throws `KEY_MISSING` where there is none, `KEY_INVALID` for several, `REQUEST_INVALID` for a body that is not what it
 * says.
 */
export function presentedToken(
  source: TokenSource,
  request: Pick<KeyedRequest, 'headers' | 'mediaType'>,
  body: Uint8Array | ParsedBody,
): string {
  const inBody = source.field === undefined ? [] : fields(request, body, source.field)
  return theOnly([...inHead(source, request.headers), ...inBody])
}

/** Finds the token where no field of a body may hold it. @throws As {@link presentedToken}. */
export function headToken(source: Omit<TokenSource, 'field'>, headers: HeaderPairs): string {
  return theOnly(inHead(source, headers))
}

function inHead({ header, cookie }: TokenSource, headers: HeaderPairs): readonly string[] {
  return [
    ...(header === undefined ? [] : headerValues(headers, header).map(unquoted)),
    ...(cookie === undefined ? [] : cookies(headers, cookie)),
  ]
}

/** The same token may stand in several places; an empty one is none. */
function theOnly(found: readonly unknown[]): string {
  const [token, another] = new Set(found.filter((value) => value !== ''))
  if (another !== undefined)
    throw new OncewardError('KEY_INVALID', 'The request carries several one-time tokens.')
  if (token === undefined) throw new OncewardError('KEY_MISSING', NO_TOKEN)
  if (typeof token !== 'string') throw new OncewardError('KEY_INVALID', 'The one-time token is not a text.')
  return token
}

function headerValues(headers: HeaderPairs, name: string): readonly string[] {
  const lower = name.toLowerCase()
  return headers.filter(([field]) => field.toLowerCase() === lower).map(([, value]) => value.trim())
}

function cookies(headers: HeaderPairs, name: string): readonly string[] {
  return headerValues(headers, 'cookie')
    .flatMap((line) => line.split(';'))
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => unquoted(pair.slice(name.length + 1)))
}

/** A key may be sent as a structured-field string and a cookie in quotes; a token has nothing to escape. */
function unquoted(value: string): string {
  return value.replace(/^"(.*)"$/, '$1')
}

function fields(
  { headers, mediaType }: Pick<KeyedRequest, 'headers' | 'mediaType'>,
  body: Uint8Array | ParsedBody,
  name: string,
): readonly unknown[] {
  if (isMultipartForm(mediaType)) {
    if (!(body instanceof Uint8Array)) return [memberOf(body.parsed, name)].flat()
    return body.byteLength === 0 ? [] : [multipartField(headers, body, name) ?? '']
  }
  if (mediaType.startsWith('application/x-www-form-urlencoded')) {
    if (body instanceof Uint8Array) return new URLSearchParams(Buffer.from(body).toString()).getAll(name)
    return [memberOf(body.parsed, name)].flat()
  }
  if (!isJsonType(mediaType)) return []
  return [memberOf(body instanceof Uint8Array ? parseJson(body) : body.parsed, name)]
}

/** An empty text where there is none: it is no token. */
function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : ''
}
