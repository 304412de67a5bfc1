import { isUtf8 } from 'node:buffer'
import { parseBoundedJson } from './bounded-json.ts'
import { bytesOf, nameOf } from './canonical-text.ts'
import type { Codec } from './codec.ts'
import {
  Branch,
  fold,
  indexesOf,
  MAX_DEPTH,
  MAX_HOLES,
  MAX_PARTS,
  namesOf,
  type Place,
  readFields,
} from './value-fold.ts'
import { bytesType, errorType, kindOf } from './value-kind.ts'
import { revive } from './value-revive.ts'

/**
 * The default codec: JSON text in UTF-8, so that stored values can be read by people, with tags for what JSON has no
 * form for. A decoded value equals the encoded one in value and type and is a copy of its own.
 *
 * It keeps `null`, `undefined`, booleans, strings, numbers (`-0`, NaN and infinities too), BigInt, Date, RegExp, URL,
 * Map, Set, Buffer, typed arrays, ArrayBuffer, DataView, lists (holes too), plain objects, objects without a
 * prototype, and errors of the built-in classes (name, message, cause and own fields; not the stack).
 *
 * Limits: a getter is stored as the value it gives; fields that are not enumerable are left out; a value that is
 * referred to twice is decoded as two copies; a view is stored with the bytes it shows, not with its whole buffer.
 *
 * `encode` refuses with a `TypeError` naming the path: instances of classes (return a plain object), functions,
 * symbols, promises, cycles, nesting beyond 1,000 levels, getters that throw. `decode` refuses everything `encode`
 * does not write, and never runs what it reads.
 */
export const valueCodec: Codec = { encode, decode }

/** Marks text with tags. No JSON text begins with it. */
const TAGGED = '~'

function encode(value: unknown): Uint8Array {
  return isJson(value)
    ? Buffer.from(jsonText(value))
    : Buffer.from(TAGGED + jsonText(fold<unknown>('value', value, tag)))
}

function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    // A text longer than any string can be, or little stack left by those who called.
    throw new TypeError('the value is too large to be written as text', { cause })
  }
}

function decode(bytes: Uint8Array): unknown {
  try {
    if (!isUtf8(bytes)) throw new SyntaxError('not UTF-8')
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
    if (!text.startsWith(TAGGED)) return parseBoundedJson(text)
    return fold<unknown>('value', parseBoundedJson(text.slice(TAGGED.length), TAGGED_DEPTH), revive)
  } catch (cause) {
    if (cause instanceof TypeError) throw cause
    throw new TypeError('the stored value is not text that this codec wrote', { cause })
  }
}

/** A tag and what it holds are two levels of JSON for one of the value. */
const TAGGED_DEPTH = 2 * MAX_DEPTH + 2

/** Whether `JSON.parse(JSON.stringify(value))` is the value again: most are, and cost no more than that. */
function isJson(value: unknown): boolean {
  try {
    return isJsonAt(value, 0, { partsLeft: MAX_PARTS })
  } catch {
    // A getter has thrown; the walk with a path will meet it again and say where.
    return false
  }
}

interface Budget {
  partsLeft: number
}

function isJsonAt(value: unknown, depth: number, budget: Budget): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value) && (value !== 0 || !Object.is(value, -0))
    case 'object':
      return value === null || (depth < MAX_DEPTH && isJsonContainer(value, depth + 1, budget))
    default:
      return false
  }
}

function isJsonContainer(value: object, depth: number, budget: Budget): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  // One that is not enumerable is no field, but `JSON.stringify` would ask it.
  if ((value as { readonly toJSON?: unknown }).toJSON !== undefined) return false
  const names = Object.keys(value)
  budget.partsLeft -= names.length + 1
  if (budget.partsLeft < 0) return false
  if (prototype === Array.prototype && Array.isArray(value)) {
    if (names.length !== value.length) return false
    for (let index = 0; index < value.length; index += 1) {
      if (!isJsonAt(value[index], depth, budget)) return false
    }
  } else if (prototype === Object.prototype) {
    for (const name of names) {
      if (!isJsonAt((value as Record<string, unknown>)[name], depth, budget)) return false
    }
  } else {
    return false
  }
  return Object.getOwnPropertySymbols(value).length === 0
}

/**
 * Turns a value into JSON in which every list is `[tag, …]`: a list is `["list", …items]`, what JSON cannot say is
 * `["date", ms]` and so on. Objects stay objects, so no field name can be taken for a tag.
 */
function tag(value: unknown, place: Place): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      if (Object.is(value, -0)) return ['number', '-0']
      return Number.isFinite(value) ? value : ['number', String(value)]
    case 'undefined':
      return ['undefined']
    case 'bigint':
      return ['bigint', value.toString()]
    case 'object':
      return value === null ? null : tagObject(value, place)
    default:
      throw place.refuse(`is a ${typeof value} and cannot be stored`)
  }
}

function tagObject(value: object, place: Place): unknown {
  switch (kindOf(value)) {
    case 'object':
      return tagFields(value, place, (fields) => fields)
    case 'null-prototype':
      return tagFields(value, place, (fields) => ['null-prototype', fields])
    case 'array':
      return tagList(value as unknown[], place)
    case 'date': {
      refuseFields(value, place)
      const time = (value as Date).getTime()
      return ['date', Number.isNaN(time) ? null : time]
    }
    case 'regexp': {
      refuseFields(value, place)
      const { source, flags, lastIndex } = value as RegExp
      if (!Number.isSafeInteger(lastIndex)) throw fieldRefusal('lastIndex', place)
      return ['regexp', source, flags, lastIndex]
    }
    case 'map':
      refuseFields(value, place)
      return tagItems('map', value, [...(value as Map<unknown, unknown>)].flat())
    case 'set':
      refuseFields(value, place)
      return tagItems('set', value, [...(value as Set<unknown>)])
    case 'bytes':
      return tagBytes(value as ArrayBufferView | ArrayBuffer)
    case 'url':
      return ['url', (value as URL).href]
    case 'error':
      return tagError(value as Error, place)
    case 'promise':
      throw place.refuse('is a promise; await it first')
    case 'instance':
      throw place.refuse(`is ${nameOf(value)} and would come back without its class; return a plain object`)
  }
}

/** Refuses fields that somebody has put on a date, a map and so on: they would be lost. */
function refuseFields(value: object, place: Place): void {
  const [field] = namesOf(value, place)
  if (field !== undefined) throw fieldRefusal(field, place)
}

function fieldRefusal(field: string, place: Place): TypeError {
  return place.refuse(`has the field ${JSON.stringify(field)}, which is not stored with it`)
}

function tagFields(value: object, place: Place, join: (fields: object) => unknown): Branch<unknown> {
  const names = namesOf(value, place)
  return new Branch(value, readFields(value, names, place), names, (parts) => join(fromPairs(names, parts)))
}

/** Defines fields, so that one named `__proto__` is a field like any other. */
function fromPairs(names: readonly string[], parts: readonly unknown[]): object {
  return Object.fromEntries(names.map((name, index) => [name, parts[index]]))
}

function tagItems(name: string, container: object, items: readonly unknown[]): Branch<unknown> {
  return new Branch<unknown>(container, items, undefined, (parts) => [name, ...parts])
}

function tagList(items: readonly unknown[], place: Place): Branch<unknown> {
  const names = indexesOf(items, place)
  if (names.length === items.length) return tagItems('list', items, items)
  if (items.length > names.length + MAX_HOLES) throw place.refuse(`has more than ${MAX_HOLES} holes`)
  const indexes = names.map(Number)
  return new Branch<unknown>(items, readFields(items, names, place), indexes, (parts) => [
    'sparse',
    items.length,
    ...parts.flatMap((part, at) => [indexes[at], part]),
  ])
}

function tagBytes(value: ArrayBufferView | ArrayBuffer): unknown {
  const bytes = bytesOf(value)
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
  return ['bytes', bytesType(value), text]
}

/** The parts of an error that are its own but not enumerable are kept apart from its fields. */
function tagError(error: Error, place: Place): Branch<unknown> {
  const hidden = ['message', 'cause', 'errors'].filter(
    (name) => Object.getOwnPropertyDescriptor(error, name)?.enumerable === false,
  )
  const names = namesOf(error, place)
  const all = [...hidden, ...names]
  return new Branch<unknown>(error, readFields(error, all, place), all, (parts) => [
    'error',
    errorType(error),
    fromPairs(hidden, parts),
    fromPairs(names, parts.slice(hidden.length)),
  ])
}
