import { OncewardError } from '../core/errors.ts'
import { MAX_HTTP_KEY_BYTES } from './idempotency-key.ts'
import { mediaField } from './media-field.ts'
import { multipartParts, unreadable } from './multipart-parts.ts'
import type { HeaderPairs } from './types.ts'

/** The largest header of a part, in bytes. */
export const MAX_PART_HEADER_BYTES = 8192

/** The most fields of such a header: each costs time, and browsers write two. */
const MAX_PART_FIELDS = 16

/**
 * Reads one small text field of a `multipart/form-data` body; nothing where the form has none. Names are read as browsers
 * write them (`%22` for a quote), and with backslashes as other clients do. A charset is ignored: a token is ASCII.
 *
 * @throws `REQUEST_INVALID` for a form that cannot be read, or has a part that is none of a form; `KEY_INVALID` for a field
 * that is there twice, is a file, encoded, or longer than 255 bytes.
 */
export function multipartField(headers: HeaderPairs, body: Uint8Array, name: string): string | undefined {
  let value: string | undefined
  for (const part of multipartParts(headers, body)) {
    const { fields, content } = opened(part)
    const disposition = dispositionOf(fields)
    if (disposition.name !== name && disposition.name !== asBrowsersWrite(name)) continue
    if (value !== undefined) throw refused('is in the form more than once; send one field of its name')
    value = textOf(fields, disposition, content)
  }
  return value
}

type PartHeader = ReadonlyMap<string, string>

function opened(part: Buffer): { readonly fields: PartHeader; readonly content: Buffer } {
  const end = part.subarray(0, MAX_PART_HEADER_BYTES + 4).indexOf('\r\n\r\n')
  if (end < 0)
    throw unreadable(
      `a part has no header that ends with an empty line within ${MAX_PART_HEADER_BYTES} bytes`,
    )
  const fields = new Map<string, string>()
  for (const line of part.toString('utf8', 0, end).split('\r\n', MAX_PART_FIELDS + 1)) {
    const [, name = '', value = ''] = /^([!#$%&'*+.^`|~\w-]+):([^\r\n\0]*)$/.exec(line) ?? []
    const lower = name.toLowerCase()
    if (name === '' || fields.has(lower)) throw unreadable('a part has a malformed or repeated header field')
    fields.set(lower, value)
  }
  if (fields.size > MAX_PART_FIELDS) throw unreadable(`a part has more than ${MAX_PART_FIELDS} header fields`)
  return { fields, content: part.subarray(end + 4) }
}

interface Disposition {
  readonly name: string
  readonly isFile: boolean
}

/** RFC 7578 section 4.2: every part says `form-data`, and one name. */
function dispositionOf(fields: PartHeader): Disposition {
  const text = fields.get('content-disposition') ?? ''
  const field = mediaField(text, 'percent') ?? mediaField(text, 'escaped')
  const [name, another] = (field?.parameters ?? [])
    .filter(([key]) => key === 'name')
    .map(([, value]) => value)
  if (field?.essence !== 'form-data' || name === undefined || another !== undefined)
    throw unreadable('each part needs one Content-Disposition: form-data with one name')
  return { name, isFile: field.parameters.some(([key]) => key.startsWith('filename')) }
}

/** HTML, "multipart/form-data encoding algorithm": these three are escaped in a name, and nothing else. */
function asBrowsersWrite(name: string): string {
  return name.replaceAll('\r', '%0D').replaceAll('\n', '%0A').replaceAll('"', '%22')
}

function textOf(fields: PartHeader, { isFile }: Disposition, content: Buffer): string {
  if (isFile) throw refused('is a file; send it as text')
  const encoding = (fields.get('content-transfer-encoding') ?? '').trim()
  if (!/^(?:7bit|8bit|binary|)$/i.test(encoding)) throw refused('is encoded; send it as plain text')
  if (content.byteLength > MAX_HTTP_KEY_BYTES) throw refused(`has more than ${MAX_HTTP_KEY_BYTES} bytes`)
  return content.toString('utf8')
}

function refused(why: string): OncewardError {
  return new OncewardError('KEY_INVALID', `The one-time token ${why}.`)
}
