import { isUtf8 } from 'node:buffer'
import { parseBoundedJson } from './bounded-json.ts'
import { bytesOf, nameOf, read } from './canonical-text.ts'
import type { Codec } from './codec.ts'
import { bytesType, errorType, kindOf } from './value-kind.ts'
import { revive } from './value-revive.ts'
import { MAX_DEPTH, MAX_HOLES, MAX_PARTS, Walk } from './value-walk.ts'

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
  if (isJson(value)) return Buffer.from(JSON.stringify(value))
  return Buffer.from(TAGGED + JSON.stringify(tag(value, new Walk('value'))))
}

function decode(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) throw new TypeError('the stored value is not UTF-8 text')
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
  try {
    if (!text.startsWith(TAGGED)) return parseBoundedJson(text)
    return revive(parseBoundedJson(text.slice(TAGGED.length), TAGGED_DEPTH), new Walk('value'))
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
function tag(value: unknown, walk: Walk): unknown {
  walk.count()
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0) ? value : ['number', numberName(value)]
    case 'undefined':
      return ['undefined']
    case 'bigint':
      return ['bigint', value.toString()]
    case 'object':
      return value === null ? null : tagObject(value, walk)
    default:
      throw walk.refuse(`is a ${typeof value} and cannot be stored`)
  }
}

function numberName(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value)
}

function tagObject(value: object, walk: Walk): unknown {
  switch (kindOf(value)) {
    case 'object':
      return tagFields(value, walk)
    case 'null-prototype':
      return ['null-prototype', tagFields(value, walk)]
    case 'array':
      return tagList(value as unknown[], walk)
    case 'date': {
      refuseFields(value, walk)
      const time = (value as Date).getTime()
      return ['date', Number.isNaN(time) ? null : time]
    }
    case 'regexp': {
      refuseFields(value, walk)
      const { source, flags, lastIndex } = value as RegExp
      if (!Number.isSafeInteger(lastIndex)) throw walk.refuse('has a lastIndex that is no index')
      return ['regexp', source, flags, lastIndex]
    }
    case 'map':
      refuseFields(value, walk)
      return ['map', ...tagItems(value, [...(value as Map<unknown, unknown>)].flat(), walk)]
    case 'set':
      refuseFields(value, walk)
      return ['set', ...tagItems(value, [...(value as Set<unknown>)], walk)]
    case 'bytes':
      return tagBytes(value as ArrayBufferView | ArrayBuffer)
    case 'url':
      return ['url', (value as URL).href]
    case 'error':
      return tagError(value as Error, walk)
    case 'promise':
      throw walk.refuse('is a promise; await it before returning')
    case 'instance':
      throw walk.refuse(`is ${nameOf(value)} and would come back without its class; return a plain object`)
  }
}

/** Refuses fields that somebody has put on a date, a map and so on: they would be lost. */
function refuseFields(value: object, walk: Walk): void {
  const [field] = Object.keys(value)
  if (field !== undefined)
    throw walk.refuse(`has the field ${JSON.stringify(field)}, which is not stored with it`)
  refuseSymbols(value, walk)
}

function refuseSymbols(value: object, walk: Walk): void {
  if (Object.getOwnPropertySymbols(value).length > 0) {
    throw walk.refuse('has a symbol as a field name and cannot be stored')
  }
}

function tagFields(value: object, walk: Walk): object {
  refuseSymbols(value, walk)
  walk.open(value)
  const fields = Object.keys(value).map((name) => {
    walk.path.push(name)
    const tagged = tag(read(value as Record<string, unknown>, name, walk), walk)
    walk.path.pop()
    return [name, tagged] as const
  })
  walk.close()
  // `fromEntries` defines fields, so that one named `__proto__` is a field like any other.
  return Object.fromEntries(fields)
}

function tagList(items: readonly unknown[], walk: Walk): unknown[] {
  const names = Object.keys(items)
  refuseSymbols(items, walk)
  const named = names.find((name) => String(Number(name) >>> 0) !== name)
  if (named !== undefined) throw walk.refuse(`is a list with the field ${JSON.stringify(named)}`)
  if (names.length === items.length) return ['list', ...tagItems(items, items, walk)]
  if (items.length > names.length + MAX_HOLES) throw walk.refuse(`has more than ${MAX_HOLES} holes`)
  walk.open(items)
  const entries = names.flatMap((name) => {
    walk.path.push(Number(name))
    const tagged = tag(items[Number(name)], walk)
    walk.path.pop()
    return [Number(name), tagged]
  })
  walk.close()
  return ['sparse', items.length, ...entries]
}

function tagItems(container: object, items: readonly unknown[], walk: Walk): unknown[] {
  walk.open(container)
  const tagged = items.map((item, index) => {
    walk.path.push(index)
    const part = tag(item, walk)
    walk.path.pop()
    return part
  })
  walk.close()
  return tagged
}

function tagBytes(value: ArrayBufferView | ArrayBuffer): unknown {
  const bytes = bytesOf(value)
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
  return ['bytes', bytesType(value), text]
}

/** The parts of an error that are its own but not enumerable are kept apart from its fields. */
function tagError(error: Error, walk: Walk): unknown {
  const hidden: Record<string, unknown> = {}
  for (const name of ['message', 'cause', 'errors']) {
    const property = Object.getOwnPropertyDescriptor(error, name)
    if (property !== undefined && !property.enumerable) hidden[name] = property.value
  }
  walk.open(error)
  const tagged = ['error', errorType(error), tagFields(hidden, walk), tagFields(error, walk)]
  walk.close()
  return tagged
}
