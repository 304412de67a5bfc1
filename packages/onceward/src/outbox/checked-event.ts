import { hash } from 'node:crypto'
import { kindOf, refuseUnknown } from '../core/known-fields.ts'
import { toAsciiJson } from '../drivers/mysql/index.ts'
import type { SqlDialect } from '../drivers/sql/index.ts'
import { payloadText } from './event-payload.ts'
import type { OutboxEvent } from './outbox-types.ts'

/** An event as the statement that adds it takes it. */
export interface EventRow {
  readonly id: string
  readonly topic: string
  readonly key: string | null
  readonly lane: string | null
  readonly format: string
  readonly payload: string
  readonly headers: string | null
}

const MAX_TOPIC_BYTES = 255
const MAX_KEY_BYTES = 1024
const MAX_HEADERS_BYTES = 16 * 1024
const FIELDS = ['topic', 'key', 'payload', 'headers', 'id']

/** Checks an event and writes it as a row. @throws `TypeError` that names what is wrong, and the mend. */
export function checkedEvent(
  event: OutboxEvent,
  settings: {
    readonly dialect: SqlDialect
    readonly maxPayloadBytes: number
    readonly newId: () => string
  },
): EventRow {
  refuseUnknown('an event', event, FIELDS)
  const topic = checkedText('topic', event.topic, MAX_TOPIC_BYTES)
  const key = event.key === undefined ? null : checkedText('key', event.key, MAX_KEY_BYTES)
  const { format, text } = payloadText(event.payload)
  const payload = settings.dialect === 'mysql' ? toAsciiJson(text) : text
  const bytes = Buffer.byteLength(payload)
  if (bytes > settings.maxPayloadBytes) {
    throw new TypeError(
      `the payload has ${bytes} bytes, and maxPayloadBytes is ${settings.maxPayloadBytes}; ` +
        'store large data elsewhere and publish where it is, or raise maxPayloadBytes',
    )
  }
  return {
    id: event.id === undefined ? settings.newId() : checkedId(event.id),
    topic,
    key,
    lane: key === null ? null : laneOf(topic, key),
    format,
    payload,
    headers: checkedHeaders(event.headers, settings.dialect),
  }
}

/** What is kept in order: a digest, because two of them that were equal by chance would only wait for each other. */
export function laneOf(topic: string, key: string): string {
  return hash('sha256', `${topic.length}:${topic}${key}`, 'base64url').slice(0, 22)
}

/** Checks a text of a column. @throws `TypeError`. */
export function checkedText(name: string, text: unknown, maxBytes: number): string {
  if (typeof text !== 'string') throw new TypeError(`${name} must be a text, not ${kindOf(text)}`)
  if (text === '') throw new TypeError(`${name} is empty; leave it out, or name it`)
  if (!text.isWellFormed() || text.includes('\0')) {
    throw new TypeError(`${name} holds half of a surrogate pair or a NUL; give well-formed text`)
  }
  const bytes = Buffer.byteLength(text)
  if (bytes <= maxBytes) return text
  throw new TypeError(
    `${name} has ${bytes} bytes, and may have ${maxBytes}; shorten it, or take a digest of it`,
  )
}

/** Checks an id of an event. @throws `TypeError`. */
export function checkedId(id: unknown): string {
  if (typeof id === 'string' && /^[\x21-\x7e]{1,100}$/.test(id)) return id
  throw new TypeError('the id of an event must be 1 to 100 printable ASCII characters without spaces')
}

function checkedHeaders(headers: OutboxEvent['headers'], dialect: SqlDialect): string | null {
  if (headers === undefined) return null
  // A Map, or the Headers of fetch, would be written as if it were empty.
  if (typeof headers !== 'object' || headers === null || Symbol.iterator in headers) {
    throw new TypeError(`headers must be an object of texts, not ${kindOf(headers)}`)
  }
  const entries = Object.entries(headers)
  for (const [name, value] of entries) {
    if (typeof value !== 'string') {
      throw new TypeError(`the header ${JSON.stringify(name)} must be a text, not ${kindOf(value)}`)
    }
  }
  if (entries.length === 0) return null
  const json = JSON.stringify(headers)
  const text = dialect === 'mysql' ? toAsciiJson(json) : json
  if (Buffer.byteLength(text) <= MAX_HEADERS_BYTES) return text
  throw new TypeError(`headers are larger than ${MAX_HEADERS_BYTES} bytes; put large data into the payload`)
}
