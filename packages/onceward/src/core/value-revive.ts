import { Branch, MAX_HOLES, type Place } from './value-fold.ts'
import { BYTES_TYPES, ERROR_TYPES } from './value-kind.ts'

/**
 * Turns parsed JSON in which every list is `[tag, …]` into the value it stands for: what `fold` takes apart a stored
 * value with.
 *
 * @throws `TypeError` naming the path of an unknown tag or of one with wrong parts. Nothing is looked up by a name from
 * the text but in the tables of this module, and nothing is run.
 */
export function revive(part: unknown, place: Place): unknown {
  if (typeof part !== 'object' || part === null) return part
  return Array.isArray(part) ? reviveTagged(part, place) : reviveFields(part, (fields) => fields)
}

function reviveFields(object: object, join: (fields: object) => unknown): Branch<unknown> {
  const fields = object as Record<string, unknown>
  const names = Object.keys(fields)
  return new Branch<unknown>(object, Object.values(fields), names, (parts) => {
    // JSON.parse has made `__proto__` an own field, so even that assignment reaches nothing but the field.
    for (const [index, name] of names.entries()) fields[name] = parts[index]
    return join(fields)
  })
}

function reviveTagged(parts: unknown[], place: Place): unknown {
  switch (parts[0]) {
    case 'list':
      return reviveItems(parts, (items) => items)
    case 'sparse':
      return reviveSparse(parts, place)
    case 'map':
      return reviveItems(parts, (items) => toMap(items, place))
    case 'set':
      return reviveItems(parts, (items) => new Set(items))
    default:
      return reviveFixed(parts, place)
  }
}

/** Revives a tag with a fixed number of parts. */
function reviveFixed(parts: unknown[], place: Place): unknown {
  const [tag, first, second, third] = parts as [string, string, string, string]
  // A tag that is no text would be turned into one here.
  switch (typeof tag === 'string' && `${tag}(${parts.slice(1).map(typeOf)})`) {
    case 'undefined()':
      return undefined
    case 'number(string)':
      if (NUMBERS.test(first)) return Number(first)
      break
    case 'bigint(string)':
      if (INTEGER.test(first)) return BigInt(first)
      break
    case 'date(null)':
      return new Date(Number.NaN)
    case 'date(number)':
      if (!Number.isNaN(new Date(first).getTime())) return new Date(first)
      break
    case 'regexp(string,string,number)':
      return reviveRegExp(first, second, Number(third), place)
    case 'url(string)':
      if (URL.canParse(first)) return new URL(first)
      break
    case 'bytes(string,string)':
      return reviveBytes(first, second, place)
    case 'null-prototype(object)':
      return reviveFields(Object(first), (fields) => Object.setPrototypeOf(fields, null))
    case 'error(string,object,object)':
      return reviveError(first, Object(second), Object(third), place)
  }
  throw malformed(place)
}

function typeOf(part: unknown): string {
  return part === null ? 'null' : Array.isArray(part) ? 'list' : typeof part
}

const NUMBERS = /^(?:-0|NaN|-?Infinity)$/
const INTEGER = /^(?:0|-?[1-9]\d*)$/

function malformed(place: Place): TypeError {
  return place.refuse('has a tag that this codec does not write')
}

/** Revives what follows the tag. */
function reviveItems(parts: unknown[], join: (items: unknown[]) => unknown): Branch<unknown> {
  return new Branch(parts, parts.slice(1), undefined, join)
}

function toMap(items: unknown[], place: Place): Map<unknown, unknown> {
  if (items.length % 2 === 1) throw malformed(place)
  const map = new Map<unknown, unknown>()
  for (let at = 0; at < items.length; at += 2) map.set(items[at], items[at + 1])
  return map
}

function reviveSparse([, length, ...entries]: unknown[], place: Place): Branch<unknown> {
  const holes = typeof length === 'number' ? length - entries.length / 2 : Number.NaN
  if (!Number.isInteger(holes) || holes < 1 || holes > MAX_HOLES) throw malformed(place)
  const indexes: number[] = []
  for (let at = 0; at < entries.length; at += 2) {
    const index = entries[at]
    const isNext = Number.isInteger(index) && (index as number) > (indexes.at(-1) ?? -1)
    if (!isNext || (index as number) >= (length as number)) throw malformed(place)
    indexes.push(index as number)
  }
  const values = entries.filter((_, at) => at % 2 === 1)
  return new Branch<unknown>(entries, values, indexes, (items) => {
    const list: unknown[] = new Array(length as number)
    for (const [at, index] of indexes.entries()) list[index] = items[at]
    return list
  })
}

function reviveRegExp(source: string, flags: string, lastIndex: number, place: Place): RegExp {
  try {
    const pattern = new RegExp(source, flags)
    pattern.lastIndex = lastIndex
    return pattern
  } catch {
    throw malformed(place)
  }
}

function reviveBytes(type: string, text: string, place: Place): ArrayBufferView | ArrayBuffer {
  const bytes = Buffer.from(text, 'base64')
  // Buffer reads what it can of any text; only what it writes the same way again was written by us.
  if (bytes.toString('base64') !== text) throw malformed(place)
  // Small Buffers share one pool; a decoded value has memory of its own.
  const { buffer } = new Uint8Array(bytes)
  if (type === 'Buffer') return Buffer.from(buffer)
  if (type === 'ArrayBuffer') return buffer
  if (!Object.hasOwn(BYTES_TYPES, type)) throw malformed(place)
  const View: BytesType = BYTES_TYPES[type as keyof typeof BYTES_TYPES]
  const size = View.BYTES_PER_ELEMENT ?? 1
  if (buffer.byteLength % size !== 0) throw malformed(place)
  return new View(buffer)
}

interface BytesType {
  new (buffer: ArrayBuffer): ArrayBufferView
  readonly BYTES_PER_ELEMENT?: number
}

function reviveError(type: string, hidden: object, fields: object, place: Place): Branch<unknown> {
  if (!Object.hasOwn(ERROR_TYPES, type)) throw malformed(place)
  const known = type as keyof typeof ERROR_TYPES
  const properties = [...Object.entries(hidden), ...Object.entries(fields)]
  const names = properties.map(([name]) => name)
  const hiddenCount = Object.keys(hidden).length
  const values = properties.map(([, value]) => value)
  return new Branch<unknown>(fields, values, names, (parts) => {
    const error = known === 'AggregateError' ? new AggregateError([]) : new ERROR_TYPES[known]()
    for (const name of Reflect.ownKeys(error)) Reflect.deleteProperty(error, name)
    for (const [at, name] of names.entries()) define(error, name, parts[at], at >= hiddenCount)
    // The stack of this moment would lead nowhere, and the one of then may tell too much.
    const { message } = error
    if (!Object.hasOwn(error, 'stack')) define(error, 'stack', message ? `${type}: ${message}` : type, false)
    return error
  })
}

function define(target: object, name: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(target, name, { value, enumerable, writable: true, configurable: true })
}
