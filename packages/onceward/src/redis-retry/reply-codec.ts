import type { RedisValue } from './retry-types.ts'

/** An error reply of a command, as the server worded it. */
export class ErrorReply {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** What a kept reply is decoded to: values, and errors where commands answered one. */
export type DecodedReply = RedisValue | ErrorReply | readonly DecodedReply[]

/** How bulk strings and whole numbers are answered. */
export interface ReplyForm {
  readonly bulk: 'text' | 'bytes'
  /** `text` for a client of ioredis with `stringNumbers`. */
  readonly integers: 'number' | 'text'
}

/**
 * Decodes the reply of a command as the guarding script encodes it (RESP 2, and `_` for nothing).
 *
 * @throws `RangeError` for bytes that are no such reply.
 */
export function decodeReply(bytes: Buffer, from: number, form: ReplyForm): DecodedReply {
  const small = form.integers === 'number' ? smallInteger(bytes, from) : undefined
  if (small !== undefined) return small
  let at = from
  const line = (): string => {
    const end = bytes.indexOf('\r\n', at, 'latin1')
    if (end < 0) throw new RangeError('a kept reply ends too early')
    const text = bytes.toString('utf8', at, end)
    at = end + 2
    return text
  }
  const bulk = (length: number): Buffer | string => {
    if (!(length >= 0) || at + length + 2 > bytes.length) throw new RangeError('a kept reply ends too early')
    const start = at
    at += length + 2
    return form.bulk === 'text'
      ? bytes.toString('utf8', start, start + length)
      : Buffer.from(bytes.subarray(start, start + length))
  }
  const value = (): DecodedReply => {
    const kind = bytes[at++]
    switch (kind) {
      case 0x24:
        return bulk(Number(line()))
      case 0x3a:
        return form.integers === 'text' ? line() : integer(line())
      case 0x2b:
        return form.bulk === 'text' ? line() : Buffer.from(line())
      case 0x5f:
        line()
        return null
      case 0x2d:
        return new ErrorReply(line())
      case 0x2a:
        return Array.from({ length: Number(line()) }, value)
      default:
        throw new RangeError('a kept reply is none')
    }
  }
  return value()
}

/** The most common reply, read without making a text of it: a whole number of at most nine digits, and not less than zero. */
function smallInteger(bytes: Buffer, from: number): number | undefined {
  const end = bytes.length - 2
  if (bytes[from] !== 0x3a || end - from < 2 || end - from > 10) return undefined
  if (bytes[end] !== 0x0d || bytes[end + 1] !== 0x0a) return undefined
  let number = 0
  for (let at = from + 1; at < end; at++) {
    const digit = (bytes[at] ?? 0) - 0x30
    if (!(digit >= 0 && digit <= 9)) return undefined
    number = number * 10 + digit
  }
  return number
}

function integer(text: string): number | bigint {
  if (!/^-?\d+$/.test(text)) throw new RangeError('a kept number is none')
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}
