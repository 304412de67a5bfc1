import { OncewardError } from '../core/errors.ts'
import { mediaField } from './media-field.ts'
import type { HeaderPairs } from './types.ts'

/** The most parts that are told apart. */
export const MAX_PARTS = 1000

const FORM = 'multipart/form-data'

/** Tells whether a media type of `essentialMediaType` is that of a form with parts. */
export function isMultipartForm(mediaType: string): boolean {
  return mediaType === FORM || mediaType.startsWith(`${FORM};`)
}

/**
 * Cuts a `multipart/form-data` body (RFC 7578) at its boundaries. A part is the bytes between two of them: its header, an
 * empty line and its content. They are views of the body, not copies.
 *
 * It is stricter than RFC 2046 section 5.1.1 where two readers could come to different parts: nothing but line ends may
 * stand before the first and after the last boundary, lines end with CR LF, and no line of a part begins with the boundary.
 *
 * @throws `REQUEST_INVALID` for a body that is not such a form, and one of more than 1,000 parts.
 */
export function multipartParts(headers: HeaderPairs, body: Uint8Array): readonly Buffer[] {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const delimiter = Buffer.from(`\r\n--${boundaryOf(headers)}`, 'latin1')
  const parts: Buffer[] = []
  let at = afterFirst(bytes, delimiter)
  while (!isClosed(bytes, at)) {
    const start = afterLine(bytes, at)
    const end = bytes.indexOf(delimiter, start)
    if (end < 0) throw unreadable('it ends before its last boundary')
    if (parts.length === MAX_PARTS) throw unreadable(`it has more than ${MAX_PARTS} parts`, 'Send fewer.')
    parts.push(bytes.subarray(start, end))
    at = end + delimiter.byteLength
  }
  return parts
}

/** What is wrong with a form, and the mend. */
export function unreadable(why: string, mend = 'Send it as FormData or a browser writes it.'): OncewardError {
  return new OncewardError('REQUEST_INVALID', `The multipart form cannot be read: ${why}. ${mend}`)
}

/** RFC 2046: 1 to 70 of these characters, of which the last is no space. */
const BOUNDARY = /^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/

function boundaryOf(headers: HeaderPairs): string {
  const fields = headers.filter(([name]) => name.toLowerCase() === 'content-type')
  if (fields.length > 1) throw unreadable('its Content-Type is repeated')
  const parameters = mediaField(fields[0]?.[1] ?? '', 'escaped')?.parameters ?? []
  const [boundary, another] = parameters.filter(([name]) => name === 'boundary').map(([, value]) => value)
  if (boundary === undefined || another !== undefined || !BOUNDARY.test(boundary))
    throw unreadable('its Content-Type needs one boundary of 1 to 70 characters')
  return boundary
}

function afterFirst(bytes: Buffer, delimiter: Buffer): number {
  const startsWith = (prefix: Buffer) => bytes.subarray(0, prefix.byteLength).equals(prefix)
  if (startsWith(delimiter.subarray(2))) return delimiter.byteLength - 2
  if (startsWith(delimiter)) return delimiter.byteLength
  throw unreadable('it does not begin with its boundary')
}

/** Whether the boundary that ends at `at` is the last one. */
function isClosed(bytes: Buffer, at: number): boolean {
  if (bytes[at] !== DASH || bytes[at + 1] !== DASH) return false
  for (let rest = at + 2; rest < bytes.byteLength; rest++) {
    const byte = bytes[rest]
    if (byte !== SPACE && byte !== TAB && byte !== CR && byte !== LF)
      throw unreadable('something follows its last boundary')
  }
  return true
}

/** Where the line after a boundary begins. */
function afterLine(bytes: Buffer, from: number): number {
  let at = from
  while (bytes[at] === SPACE || bytes[at] === TAB) at++
  if (bytes[at] !== CR || bytes[at + 1] !== LF)
    throw unreadable('a line that begins with its boundary does not end there with CR LF')
  return at + 2
}

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const DASH = 0x2d
