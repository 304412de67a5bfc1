import { BYTES_TYPES, ERROR_TYPES } from './value-kind.ts'
import { MAX_HOLES, type Walk } from './value-walk.ts'

/**
 * Turns parsed JSON in which every list is `[tag, …]` into the value it stands for, in place where it can.
 *
 * @throws `TypeError` naming the path of an unknown tag or of one with wrong parts. Nothing is looked up by a name from
 * the text but in the tables of this module, and nothing is run.
 */
export function revive(part: unknown, walk: Walk): unknown {
  if (typeof part !== 'object' || part === null) return part
  return Array.isArray(part) ? reviveTagged(part, walk) : reviveFields(part, walk)
}

function reviveFields(object: object, walk: Walk): object {
  const fields = object as Record<string, unknown>
  walk.open(object)
  for (const name of Object.keys(fields)) {
    const part = fields[name]
    if (typeof part !== 'object' || part === null) continue
    walk.path.push(name)
    // JSON.parse has made `__proto__` an own field, so even that assignment reaches nothing but the field.
    fields[name] = revive(part, walk)
    walk.path.pop()
  }
  walk.close()
  return object
}

function reviveTagged(parts: unknown[], walk: Walk): unknown {
  const [tag, first, second, third] = parts
  switch (tag) {
    case 'list':
      return reviveItems(parts, walk).slice(1)
    case 'sparse':
      return reviveSparse(parts, walk)
    case 'map':
      return reviveMap(parts, walk)
    case 'set':
      return new Set(reviveItems(parts, walk).slice(1))
    case 'null-prototype':
      if (parts.length === 2 && isFields(first)) return Object.setPrototypeOf(reviveFields(first, walk), null)
      break
    case 'undefined':
      if (parts.length === 1) return undefined
      break
    case 'number':
      if (parts.length === 2 && typeof first === 'string' && NUMBERS.test(first)) return Number(first)
      break
    case 'bigint':
      if (parts.length === 2 && typeof first === 'string' && INTEGER.test(first)) return BigInt(first)
      break
    case 'date':
      if (parts.length === 2 && first === null) return new Date(Number.NaN)
      if (parts.length === 2 && typeof first === 'number' && !Number.isNaN(new Date(first).getTime()))
        return new Date(first)
      break
    case 'regexp':
      if (parts.length === 4 && typeof first === 'string' && typeof second === 'string')
        return reviveRegExp(first, second, third, walk)
      break
    case 'url':
      if (parts.length === 2 && typeof first === 'string' && URL.canParse(first)) return new URL(first)
      break
    case 'bytes':
      if (parts.length === 3 && typeof first === 'string' && typeof second === 'string')
        return reviveBytes(first, second, walk)
      break
    case 'error':
      if (parts.length === 4 && typeof first === 'string' && isFields(second) && isFields(third))
        return reviveError(first, second, third, walk)
      break
    default:
      throw walk.refuse('has a tag this codec does not write')
  }
  throw malformed(walk)
}

const NUMBERS = /^(?:-0|NaN|-?Infinity)$/
const INTEGER = /^(?:0|-?[1-9]\d*)$/

function malformed(walk: Walk): TypeError {
  return walk.refuse('has a tag with wrong parts')
}

function isFields(part: unknown): part is object {
  return typeof part === 'object' && part !== null && !Array.isArray(part)
}

/** Revives what follows the tag; the tag itself stays in front. */
function reviveItems(parts: unknown[], walk: Walk): unknown[] {
  walk.open(parts)
  for (let index = 1; index < parts.length; index += 1) {
    const part = parts[index]
    if (typeof part !== 'object' || part === null) continue
    walk.path.push(index - 1)
    parts[index] = revive(part, walk)
    walk.path.pop()
  }
  walk.close()
  return parts
}

function reviveSparse(parts: unknown[], walk: Walk): unknown[] {
  const [, length, ...entries] = reviveItems(parts, walk)
  const holes = typeof length === 'number' ? length - entries.length / 2 : Number.NaN
  if (!Number.isInteger(holes) || holes < 1 || holes > MAX_HOLES) throw malformed(walk)
  const items: unknown[] = new Array(length as number)
  let last = -1
  for (let at = 0; at < entries.length; at += 2) {
    const index = entries[at]
    if (typeof index !== 'number' || !Number.isInteger(index) || index <= last || index >= items.length)
      throw malformed(walk)
    items[index] = entries[at + 1]
    last = index
  }
  return items
}

function reviveMap(parts: unknown[], walk: Walk): Map<unknown, unknown> {
  if (parts.length % 2 === 0) throw malformed(walk)
  reviveItems(parts, walk)
  const map = new Map<unknown, unknown>()
  for (let at = 1; at < parts.length; at += 2) map.set(parts[at], parts[at + 1])
  return map
}

function reviveRegExp(source: string, flags: string, lastIndex: unknown, walk: Walk): RegExp {
  if (typeof lastIndex !== 'number') throw malformed(walk)
  try {
    const pattern = new RegExp(source, flags)
    pattern.lastIndex = lastIndex
    return pattern
  } catch {
    throw malformed(walk)
  }
}

function reviveBytes(type: string, text: string, walk: Walk): ArrayBufferView | ArrayBuffer {
  const bytes = Buffer.from(text, 'base64')
  // Buffer reads what it can of any text; only what it writes the same way again was written by us.
  if (bytes.toString('base64') !== text) throw malformed(walk)
  // Small Buffers share one pool; a decoded value has memory of its own.
  const { buffer } = new Uint8Array(bytes)
  if (type === 'Buffer') return Buffer.from(buffer)
  if (type === 'ArrayBuffer') return buffer
  if (!Object.hasOwn(BYTES_TYPES, type)) throw malformed(walk)
  const View: BytesType = BYTES_TYPES[type as keyof typeof BYTES_TYPES]
  const size = View.BYTES_PER_ELEMENT ?? 1
  if (buffer.byteLength % size !== 0) throw malformed(walk)
  return new View(buffer)
}

interface BytesType {
  new (buffer: ArrayBuffer): ArrayBufferView
  readonly BYTES_PER_ELEMENT?: number
}

function reviveError(type: string, hidden: object, fields: object, walk: Walk): Error {
  if (!Object.hasOwn(ERROR_TYPES, type)) throw malformed(walk)
  const known = type as keyof typeof ERROR_TYPES
  const error = known === 'AggregateError' ? new AggregateError([]) : new ERROR_TYPES[known]()
  for (const name of Reflect.ownKeys(error)) delete (error as unknown as Record<PropertyKey, unknown>)[name]
  walk.open(fields)
  define(error, reviveFields(hidden, walk), false)
  define(error, reviveFields(fields, walk), true)
  walk.close()
  // The stack of this moment would lead nowhere, and the one of then may tell too much.
  define(error, { stack: String(error) }, false)
  return error
}

function define(target: object, fields: object, enumerable: boolean): void {
  for (const [name, value] of Object.entries(fields)) {
    Object.defineProperty(target, name, { value, enumerable, writable: true, configurable: true })
  }
}
