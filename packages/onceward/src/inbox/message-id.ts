import { written } from '../core/known-fields.ts'
import type { InboxMessage } from './inbox-types.ts'

/** The longest name of a consumer, in UTF-8 bytes. */
export const MAX_CONSUMER_BYTES = 255
/** The longest id of a message, in UTF-8 bytes. */
export const MAX_MESSAGE_ID_BYTES = 1024

/** What a template makes of a value that is not there: an id that all such messages would share. */
const NO_IDS: ReadonlySet<string> = new Set(['undefined', 'null', 'NaN', '[object Object]'])

/** Checks the name of a consumer. @throws `TypeError` with the mend. */
export function checkedConsumer(name: unknown): string {
  if (typeof name !== 'string' || name === '')
    throw new TypeError(
      `createInbox needs a consumer: the name of what reads the messages, such as 'billing', not ${written(name)}`,
    )
  return checkedText('the consumer', name, MAX_CONSUMER_BYTES, 'give it a shorter name')
}

/** The id of a message. @throws `TypeError` for one without an id that is its own, with the mend. */
export function idOf(message: InboxMessage): string {
  const id: unknown = typeof message === 'object' && message !== null ? message.id : message
  if (id === undefined || id === null || id === '')
    throw new TypeError(
      'the message has no id; have the producer send one, or derive it from what is the same in every delivery ' +
        '(never from the time of arrival)',
    )
  if (typeof id !== 'string')
    throw new TypeError(`the id of a message must be a text, not ${written(id)}; write String(id)`)
  if (NO_IDS.has(id))
    throw new TypeError(
      `the id of the message is the text "${id}", which is what a missing id becomes in a template; ` +
        'all such messages would be taken for one. Look where the id comes from',
    )
  return checkedText(
    'the id of the message',
    id,
    MAX_MESSAGE_ID_BYTES,
    'give its SHA-256 instead, or `deriveKey` of onceward/key',
  )
}

function checkedText(what: string, text: string, most: number, mend: string): string {
  if (!text.isWellFormed() || text.includes('\0'))
    throw new TypeError(
      `${what} holds a NUL or half of a surrogate pair, which not every database can store; ${mend}`,
    )
  const bytes = Buffer.byteLength(text)
  if (bytes > most) throw new TypeError(`${what} has ${bytes} bytes, the most is ${most}; ${mend}`)
  return text
}
