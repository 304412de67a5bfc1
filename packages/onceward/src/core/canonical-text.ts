import { hash } from 'node:crypto'
import { kindOf } from './value-kind.ts'
import { Walk } from './value-walk.ts'

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
  return write(value, new Walk(root), mode)
}

function write(value: unknown, walk: Walk, mode: CanonicalMode): string {
  walk.count()
  switch (typeof value) {
    case 'string':
      return writeString(value, walk, mode)
    case 'number':
      return writeNumber(value, walk, mode)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      return value === null ? 'null' : writeObject(value, walk, mode)
    case 'bigint':
      if (mode !== 'json') return `b${value}`
      throw walk.refuse('is a BigInt, which JSON has no form for; write it as text')
    case 'undefined':
      if (mode === 'input') return 'u'
      throw walk.refuse('is undefined')
    default:
      throw walk.refuse(`is a ${typeof value}`)
  }
}

function writeString(text: string, walk: Walk, mode: CanonicalMode): string {
  // Fields are mostly short and plain: the test is cheaper than the general way.
  if (!NEEDS_ESCAPE.test(text)) return `"${text}"`
  if (mode !== 'input' && !text.isWellFormed()) throw walk.refuse('holds half of a surrogate pair')
  return JSON.stringify(text)
}

/** Anything but printable text without quotes, backslashes and surrogates. */
const NEEDS_ESCAPE = /[^ !#-[\]-\ud7ff\ue000-\uffff]/

function writeNumber(value: number, walk: Walk, mode: CanonicalMode): string {
  if (Number.isFinite(value)) return mode === 'input' && Object.is(value, -0) ? '-0' : String(value)
  if (mode !== 'input') throw walk.refuse(`is ${value}`)
  return Number.isNaN(value) ? 'N' : value > 0 ? 'I' : '-I'
}

function writeObject(value: object, walk: Walk, mode: CanonicalMode): string {
  const kind = kindOf(value)
  switch (kind) {
    case 'object':
    case 'null-prototype':
      return writeFields(value as Record<string, unknown>, walk, mode)
    case 'array':
      return writeItems(value as unknown[], walk, mode)
    case 'promise':
      throw walk.refuse('is a promise; await it first')
  }
  if (mode !== 'json') {
    if (kind === 'date') return writeDate(value as Date, walk, mode)
    if (kind === 'bytes') return writeBytes(value as ArrayBufferView | ArrayBuffer)
  }
  if (mode === 'input') return writeBeyondJson(value, kind, walk)
  throw walk.refuse(`is ${nameOf(value)}; give its plain data`)
}

function writeFields(value: Record<string, unknown>, walk: Walk, mode: CanonicalMode): string {
  if (Object.getOwnPropertySymbols(value).length > 0) throw walk.refuse('has a symbol as a field name')
  walk.open(value)
  // The default sort compares UTF-16 code units, as RFC 8785 §3.2.3 asks.
  const names = Object.keys(value).sort()
  let text = '{'
  for (const name of names) {
    walk.path.push(name)
    const part = read(value, name, walk)
    if (part !== undefined || mode !== 'json') {
      const separator = text === '{' ? '' : ','
      text += `${separator}${writeString(name, walk, mode)}:${write(part, walk, mode)}`
    }
    walk.path.pop()
  }
  walk.close()
  return `${text}}`
}

function writeItems(items: readonly unknown[], walk: Walk, mode: CanonicalMode): string {
  const names = Object.keys(items)
  const dense =
    names.length === items.length && (items.length === 0 || names.at(-1) === String(items.length - 1))
  if (!dense) return writeSparse(items, names, walk, mode)
  walk.open(items)
  let text = '['
  for (let index = 0; index < items.length; index += 1) {
    walk.path.push(index)
    text += index === 0 ? write(items[index], walk, mode) : `,${write(items[index], walk, mode)}`
    walk.path.pop()
  }
  walk.close()
  return `${text}]`
}

/** Written as length and entries, so that a list of a billion holes costs nothing. */
function writeSparse(items: readonly unknown[], names: readonly string[], walk: Walk, mode: CanonicalMode) {
  for (const name of names) {
    if (String(Number(name) >>> 0) !== name)
      throw walk.refuse(`is a list with the field ${JSON.stringify(name)}`)
  }
  if (mode !== 'input') throw walk.refuse('is a list with holes')
  walk.open(items)
  const entries: string[] = []
  for (const name of names) {
    walk.path.push(Number(name))
    entries.push(`${name}:${write(items[Number(name)], walk, mode)}`)
    walk.path.pop()
  }
  walk.close()
  return `h${items.length}[${entries.join(',')}]`
}

function writeDate(value: Date, walk: Walk, mode: CanonicalMode): string {
  const time = value.getTime()
  if (Number.isNaN(time) && mode === 'key') throw walk.refuse('is an invalid date')
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

function writeBeyondJson(value: object, kind: ReturnType<typeof kindOf>, walk: Walk): string {
  switch (kind) {
    case 'map':
      return `m[${writeEntries(value, [...(value as Map<unknown, unknown>)], walk)}]`
    case 'set':
      return `s[${writeEntries(value, [...(value as Set<unknown>)], walk)}]`
    case 'regexp': {
      const { source, flags } = value as RegExp
      return `r${JSON.stringify(source)}${JSON.stringify(flags)}`
    }
    case 'url':
      return `l${JSON.stringify((value as URL).href)}`
  }
  // A class hides what it holds; its `toJSON` is its own word for it, and nothing else is trusted.
  const { toJSON } = value as { readonly toJSON?: unknown }
  if (typeof toJSON !== 'function') throw walk.refuse(`is ${nameOf(value)}; give its plain data`)
  walk.open(value)
  let data: unknown
  try {
    data = toJSON.call(value, '')
  } catch (cause) {
    throw walk.refuse('cannot be read', cause)
  }
  walk.path.push('toJSON()')
  const text = `j${write(data, walk, 'input')}`
  walk.path.pop()
  walk.close()
  return text
}

/** Maps and sets are compared without regard to order, as fields are. */
function writeEntries(container: object, entries: readonly unknown[], walk: Walk): string {
  walk.open(container)
  const texts = entries.map((entry, index) => {
    walk.path.push(index)
    const text = write(entry, walk, 'input')
    walk.path.pop()
    return text
  })
  walk.close()
  return texts.sort().join(',')
}

/** Names what an object is, for a message. */
export function nameOf(value: object): string {
  const { constructor: type } = value as { readonly constructor?: unknown }
  const name = typeof type === 'function' && type.name !== '' ? type.name : 'a class'
  return `an instance of ${name}`
}

/** Reads a field; a getter that throws is a refusal. */
export function read(value: Record<string, unknown>, name: string, walk: Walk): unknown {
  try {
    return value[name]
  } catch (cause) {
    throw walk.refuse('cannot be read', cause)
  }
}
