import { type Codec, Unstorable } from '../core/codec.ts'
import { oversizeResponse } from './oversize-response.ts'
import { NEVER_STORED } from './response-headers.ts'
import type { CapturedResponse, HeaderPairs, OversizeResponse } from './types.ts'

/** How many bytes the status and the fields of one stored response may take. */
export const MAX_HEAD_BYTES = 65_536

const RESPONSE = 1
const NOTE = 2
/** One byte for the kind, four for the length of the head. */
const PREFIX_BYTES = 5

/**
 * Stores responses: one byte for the kind, the length of the head, the head (status and fields) as JSON, the raw body.
 *
 * An {@link OversizeResponse}, and a response whose fields exceed 64 KiB, is refused with a note of its status and
 * location, which duplicates are told. `decode` takes nothing for granted: it refuses what `encode` cannot have made.
 */
export const responseCodec: Codec = {
  encode(value) {
    if (!isRecord(value)) throw new TypeError('the outcome of a request must be a response')
    if ('tooLarge' in value)
      throw refusal(value as unknown as OversizeResponse, 'the response is larger than what is stored')
    const { status, body } = value as unknown as CapturedResponse
    const headers = checkedHeaders((value as unknown as CapturedResponse).headers).filter(isStorable)
    const head = Buffer.from(JSON.stringify([checkedStatus(status), headers]))
    if (head.byteLength > MAX_HEAD_BYTES) {
      throw refusal(
        oversizeResponse(status, headers),
        `the fields of the response exceed ${MAX_HEAD_BYTES} bytes`,
      )
    }
    if (!(body instanceof Uint8Array)) throw new TypeError('the body of a response must be bytes')
    return framed(RESPONSE, head, body)
  },

  decode(bytes) {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (view.byteLength < PREFIX_BYTES) throw new TypeError('a stored response is cut short')
    const end = PREFIX_BYTES + view.readUInt32BE(1)
    if (end - PREFIX_BYTES > MAX_HEAD_BYTES || end > view.byteLength)
      throw new TypeError('a stored response is cut short')
    const head = parseHead(view.subarray(PREFIX_BYTES, end))
    switch (view[0]) {
      case RESPONSE: {
        const body = new Uint8Array(view.subarray(end))
        return {
          status: checkedStatus(head[0]),
          headers: checkedHeaders(head[1]),
          body,
        } satisfies CapturedResponse
      }
      case NOTE: {
        const location = head[1]
        if (location !== undefined && typeof location !== 'string')
          throw new TypeError('a stored location is not a text')
        const status = checkedStatus(head[0])
        return {
          tooLarge: true,
          status,
          ...(location === undefined ? {} : { location }),
        } satisfies OversizeResponse
      }
    }
    throw new TypeError('what is stored is not a response')
  },
}

function refusal({ status, location }: OversizeResponse, message: string): Unstorable {
  const fits = location !== undefined && Buffer.byteLength(location) <= MAX_HEAD_BYTES / 2
  const head = Buffer.from(JSON.stringify(fits ? [checkedStatus(status), location] : [checkedStatus(status)]))
  return new Unstorable(message, framed(NOTE, head, new Uint8Array()))
}

function framed(kind: number, head: Uint8Array, body: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + head.byteLength + body.byteLength)
  bytes[0] = kind
  bytes.writeUInt32BE(head.byteLength, 1)
  bytes.set(head, PREFIX_BYTES)
  bytes.set(body, PREFIX_BYTES + head.byteLength)
  return bytes
}

function parseHead(bytes: Uint8Array): readonly unknown[] {
  const head: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  if (!Array.isArray(head)) throw new TypeError('the head of a stored response is not a list')
  return head
}

function checkedStatus(status: unknown): number {
  if (typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 999) return status
  throw new TypeError('the status of a response must be a whole number from 200 to 999')
}

function checkedHeaders(headers: unknown): HeaderPairs {
  if (!Array.isArray(headers)) throw new TypeError('the fields of a response must be pairs')
  return headers.map((pair: unknown) => {
    if (!Array.isArray(pair) || pair.length !== 2) throw new TypeError('a field of a response must be a pair')
    const [name, value] = pair as [unknown, unknown]
    if (!isFieldName(name) || !isFieldValue(value))
      throw new TypeError('a field of a response has a forbidden character')
    return [name, value] as const
  })
}

/** Whoever makes the response (a handler, a person who reconciles): what must never be told again is not stored. */
function isStorable([name]: readonly [string, string]): boolean {
  return !NEVER_STORED.has(name.toLowerCase())
}

/** A record is data: what was tampered with in the store must not split a response in two. */
function isFieldName(name: unknown): name is string {
  return typeof name === 'string' && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)
}

function isFieldValue(value: unknown): value is string {
  if (typeof value !== 'string') return false
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return false
  }
  return true
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
