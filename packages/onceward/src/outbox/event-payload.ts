import { kindOf } from '../core/known-fields.ts'

/** A payload as it is stored. */
export interface PayloadText {
  readonly format: 'json' | 'bytes'
  readonly text: string
}

/**
 * Writes a payload: bytes in base64, all else as JSON.
 *
 * @throws `TypeError` for what JSON has no form for or would lose: BigInt, functions, symbols, NaN and infinities, Map and Set,
 * `undefined` alone or in a list, cycles.
 */
export function payloadText(payload: unknown): PayloadText {
  if (payload instanceof Uint8Array) {
    const { buffer, byteOffset, byteLength } = payload
    return { format: 'bytes', text: Buffer.from(buffer, byteOffset, byteLength).toString('base64') }
  }
  let text: string | undefined
  try {
    text = JSON.stringify(payload, refuseLosses)
  } catch (cause) {
    if (cause instanceof TypeError && cause.message.startsWith('the payload')) throw cause
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause)
    throw new TypeError(`the payload cannot be written as JSON (${reason}); give plain data, or bytes`, {
      cause,
    })
  }
  if (text === undefined) throw refused(payload, '')
  return { format: 'json', text }
}

/** Reads what {@link payloadText} has written. @throws `SyntaxError` for damaged JSON. */
export function readPayload({ format, text }: PayloadText): unknown {
  return format === 'bytes' ? new Uint8Array(Buffer.from(text, 'base64')) : JSON.parse(text)
}

function refuseLosses(this: unknown, field: string, value: unknown): unknown {
  // As it was before its toJSON: a Buffer becomes a list of numbers, a Date that is none becomes null.
  const own = (this as Readonly<Record<string, unknown>>)[field]
  if (ArrayBuffer.isView(own) || (value === null && own instanceof Date)) throw refused(own, field)
  switch (typeof value) {
    case 'bigint':
    case 'function':
    case 'symbol':
      throw refused(value, field)
    case 'undefined':
      if (Array.isArray(this)) throw refused(value, field)
      return value
    case 'number':
      if (!Number.isFinite(value)) throw refused(value, field)
      return value
    default:
      if (isLossy(value)) throw refused(value, field)
      return value
  }
}

/** Objects that JSON writes as if they were empty, or as a list of numbers. */
function isLossy(value: unknown): boolean {
  return (
    value instanceof Map ||
    value instanceof Set ||
    value instanceof RegExp ||
    value instanceof Error ||
    value instanceof Promise ||
    value instanceof ArrayBuffer ||
    ArrayBuffer.isView(value)
  )
}

function refused(value: unknown, field: string): TypeError {
  const what =
    typeof value === 'object' && value !== null
      ? `a ${value.constructor?.name ?? 'special object'}`
      : kindOf(value)
  const where = field === '' ? 'the payload' : `the payload at ${JSON.stringify(field)}`
  return new TypeError(`${where} is ${what}, which JSON has no form for; write it as text or plain data`)
}
