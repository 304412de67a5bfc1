import { hash } from 'node:crypto'
import { Branch, fold, indexesOf, namesOf, type Place, readFields } from './value-fold.ts'
import { kindOf, type ValueKind } from './value-kind.ts'

/**
 * What is written down.
 *
 * - `json`: RFC 8785 and nothing else; what JSON has no word for is refused.
 * - `key`: the same, and BigInt, Date and bytes in forms that JSON text cannot have.
 * - `input`: every value that can be told apart, each in a form of its own.
 */
export type CanonicalMode = 'json' | 'key' | 'input'

/**
 * Writes a value so that equal values have equal texts and different ones different texts, whatever the order of their
 * fields. For JSON values the text is RFC 8785 in every mode (but for `-0`, which `input` keeps apart from `0`).
 *
 * @param root - What the value is called in messages.
 * @throws `TypeError` naming the path of what has no place in `mode`, of a cycle, or of nesting beyond 1,000 levels.
 */
export function canonicalText(value: unknown, root: string, mode: CanonicalMode): string {
  return fold<string>(root, value, (part, place) => write(part, place, mode))
}

type Written = string | Branch<string>

function write(value: unknown, place: Place, mode: CanonicalMode): Written {
  switch (typeof value) {
    case 'string':
      return writeString(value, place, mode)
    case 'number':
      return writeNumber(value, place, mode)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      return value === null ? 'null' : writeObject(value, place, mode)
    case 'bigint':
      if (mode !== 'json') return `b${value}`
      throw place.refuse('is a BigInt, which JSON has no form for; write it as text')
    case 'undefined':
      if (mode === 'input') return 'u'
      throw place.refuse('is undefined')
    default:
      throw place.refuse(`is a ${typeof value}`)
  }
}

function writeString(text: string, place: Place, mode: CanonicalMode): string {
  // Texts are mostly short and plain: the test is cheaper than the general way.
  if (!NEEDS_ESCAPE.test(text)) return `"${text}"`
  if (mode !== 'input' && !text.isWellFormed()) throw place.refuse('holds half of a surrogate pair')
  return JSON.stringify(text)
}

/** Anything but printable text without quotes, backslashes and surrogates. */
const NEEDS_ESCAPE = /[^ !#-[\]-\ud7ff\ue000-\uffff]/

function writeNumber(value: number, place: Place, mode: CanonicalMode): string {
  if (Number.isFinite(value)) return mode === 'input' && Object.is(value, -0) ? '-0' : String(value)
  if (mode !== 'input') throw place.refuse(`is ${value}`)
  return Number.isNaN(value) ? 'N' : value > 0 ? 'I' : '-I'
}

function writeObject(value: object, place: Place, mode: CanonicalMode): Written {
  const kind = kindOf(value)
  switch (kind) {
    case 'object':
    case 'null-prototype':
      return writeFields(value, place, mode)
    case 'array':
      return writeItems(value as unknown[], place, mode)
    case 'promise':
      throw place.refuse('is a promise; await it first')
  }
  if (mode !== 'json') {
    if (kind === 'date') return writeDate(value as Date, place, mode)
    if (kind === 'bytes') return writeBytes(value as ArrayBufferView | ArrayBuffer)
  }
  if (mode === 'input') return writeBeyondJson(value, kind, place)
  throw place.refuse(`is ${nameOf(value)}; give its plain data`)
}

function writeFields(value: object, place: Place, mode: CanonicalMode): Branch<string> {
  // The default sort compares UTF-16 code units, as RFC 8785 §3.2.3 asks.
  let names = namesOf(value, place).sort()
  let parts = readFields(value, names, place)
  if (mode === 'json' && parts.includes(undefined)) {
    names = names.filter((_, index) => parts[index] !== undefined)
    parts = parts.filter((part) => part !== undefined)
  }
  const labels = names.map((name) => `${writeString(name, place, mode)}:`)
  return new Branch(value, parts, names, (texts) => {
    let text = ''
    for (let index = 0; index < texts.length; index += 1) {
      text += `${index === 0 ? '' : ','}${labels[index]}${texts[index]}`
    }
    return `{${text}}`
  })
}

function writeItems(items: readonly unknown[], place: Place, mode: CanonicalMode): Branch<string> {
  const names = indexesOf(items, place)
  if (names.length === items.length) {
    return new Branch<string>(items, items, undefined, (texts) => `[${texts.join(',')}]`)
  }
  if (mode !== 'input') throw place.refuse('is a list with holes')
  // Length and entries, so that a list of a billion holes costs nothing.
  return new Branch<string>(items, readFields(items, names, place), names.map(Number), (texts) => {
    const entries = texts.map((text, index) => `${names[index]}:${text}`)
    return `h${items.length}[${entries.join(',')}]`
  })
}

function writeDate(value: Date, place: Place, mode: CanonicalMode): string {
  const time = value.getTime()
  if (Number.isNaN(time) && mode === 'key') throw place.refuse('is an invalid date')
  return `d${time}`
}

function writeBytes(value: ArrayBufferView | ArrayBuffer): string {
  // A Buffer and a Uint8Array of the same bytes are the same input; a Float32Array of them is not.
  const type = ArrayBuffer.isView(value) ? Object.prototype.toString.call(value).slice(8, -1) : 'ArrayBuffer'
  return `x${type}"${hash('sha256', bytesOf(value), 'base64url')}"`
}

/** The bytes of a view or buffer, not copied. */
export function bytesOf(value: ArrayBufferView | ArrayBuffer): Uint8Array {
  return ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : new Uint8Array(value)
}

function writeBeyondJson(value: object, kind: ValueKind, place: Place): Written {
  switch (kind) {
    case 'map':
      // An entry is a list of two.
      return unordered('m', value, [...(value as Map<unknown, unknown>)])
    case 'set':
      return unordered('s', value, [...(value as Set<unknown>)])
    case 'regexp': {
      const { source, flags } = value as RegExp
      return `r${JSON.stringify(source)}${JSON.stringify(flags)}`
    }
  }
  // A class hides what it holds; its `toJSON` is its own word for it, and nothing else is trusted.
  const { toJSON } = value as { readonly toJSON?: unknown }
  if (typeof toJSON !== 'function') throw place.refuse(`is ${nameOf(value)}; give its plain data`)
  try {
    return new Branch<string>(value, [toJSON.call(value, '')], ['toJSON()'], ([text]) => `j${text}`)
  } catch (cause) {
    throw place.refuse('cannot be read', undefined, cause)
  }
}

/** Maps and sets are compared without regard to order, as fields are. */
function unordered(form: string, container: object, entries: readonly unknown[]): Branch<string> {
  return new Branch<string>(container, entries, undefined, (texts) => `${form}[${texts.sort().join(',')}]`)
}

/** Names what an object is, for a message. */
export function nameOf(value: object): string {
  const { constructor: type } = value as { readonly constructor?: unknown }
  const name = typeof type === 'function' && type.name !== '' ? type.name : 'a class'
  return `an instance of ${name}`
}
