import { types } from 'node:util'

/** What an object is, as far as storing and comparing it goes. `instance` is everything we know nothing of. */
export type ValueKind =
  | 'object'
  | 'null-prototype'
  | 'array'
  | 'date'
  | 'regexp'
  | 'map'
  | 'set'
  | 'bytes'
  | 'url'
  | 'error'
  | 'promise'
  | 'instance'

/**
 * Tells what an object is. Objects of another realm (a `vm` context, some test runners) count like our own;
 * subclasses of the built-in classes are instances, because what they add would be lost.
 */
export function kindOf(value: object): ValueKind {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype) return 'object'
  if (prototype === null) return 'null-prototype'
  if (Array.isArray(value)) return isBuiltIn(prototype, Array, 2) ? 'array' : 'instance'
  if (types.isDate(value)) return isBuiltIn(prototype, Date, 2) ? 'date' : 'instance'
  if (types.isMap(value)) return isBuiltIn(prototype, Map, 2) ? 'map' : 'instance'
  if (types.isSet(value)) return isBuiltIn(prototype, Set, 2) ? 'set' : 'instance'
  if (types.isRegExp(value)) return isBuiltIn(prototype, RegExp, 2) ? 'regexp' : 'instance'
  if (ArrayBuffer.isView(value) || types.isArrayBuffer(value)) return bytesType(value) ? 'bytes' : 'instance'
  if (types.isPromise(value)) return 'promise'
  if (types.isNativeError(value)) return errorType(value) ? 'error' : 'instance'
  if (prototype === URL.prototype) return 'url'
  return isBuiltIn(prototype, Object, 1) ? 'object' : 'instance'
}

/** The classes of bytes that are kept apart. */
export const BYTES_TYPES: {
  readonly Int8Array: typeof Int8Array
  readonly Uint8Array: typeof Uint8Array
  readonly Uint8ClampedArray: typeof Uint8ClampedArray
  readonly Int16Array: typeof Int16Array
  readonly Uint16Array: typeof Uint16Array
  readonly Int32Array: typeof Int32Array
  readonly Uint32Array: typeof Uint32Array
  readonly Float32Array: typeof Float32Array
  readonly Float64Array: typeof Float64Array
  readonly BigInt64Array: typeof BigInt64Array
  readonly BigUint64Array: typeof BigUint64Array
  readonly DataView: typeof DataView
} = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
}

/** Names a class of bytes; `undefined` for one that cannot be kept: a subclass, or memory shared between threads. */
export function bytesType(
  value: ArrayBufferView | ArrayBuffer,
): keyof typeof BYTES_TYPES | 'Buffer' | 'ArrayBuffer' | undefined {
  if (types.isArrayBuffer(value)) {
    return isBuiltIn(Object.getPrototypeOf(value), ArrayBuffer, 2) ? 'ArrayBuffer' : undefined
  }
  if (types.isSharedArrayBuffer(value.buffer)) return undefined
  if (Object.getPrototypeOf(value) === Buffer.prototype) return 'Buffer'
  const name = (value as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag]
  if (typeof name !== 'string' || !Object.hasOwn(BYTES_TYPES, name)) return undefined
  const known = name as keyof typeof BYTES_TYPES
  const depth = known === 'DataView' ? 2 : 3
  return isBuiltIn(Object.getPrototypeOf(value), BYTES_TYPES[known], depth) ? known : undefined
}

/** The built-in classes of errors. */
export const ERROR_TYPES: {
  readonly Error: typeof Error
  readonly TypeError: typeof TypeError
  readonly RangeError: typeof RangeError
  readonly SyntaxError: typeof SyntaxError
  readonly ReferenceError: typeof ReferenceError
  readonly EvalError: typeof EvalError
  readonly URIError: typeof URIError
  readonly AggregateError: typeof AggregateError
} = {
  Error,
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  EvalError,
  URIError,
  AggregateError,
}

/** Names the built-in class of an error; `undefined` for a class of somebody's own. */
export function errorType(value: Error): keyof typeof ERROR_TYPES | undefined {
  const prototype: unknown = Object.getPrototypeOf(value)
  for (const [name, type] of Object.entries(ERROR_TYPES)) {
    if (isBuiltIn(prototype, type, name === 'Error' ? 2 : 3)) return name as keyof typeof ERROR_TYPES
  }
  return undefined
}

/** Whether `prototype` is that of `type`, of this realm or (by the name and the length of its chain) of another. */
function isBuiltIn(
  prototype: unknown,
  type: { readonly prototype: object; readonly name: string },
  chain: number,
) {
  if (prototype === type.prototype) return true
  if (typeof prototype !== 'object' || prototype === null) return false
  const owner: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  if (typeof owner !== 'function' || owner.name !== type.name) return false
  // A class of this realm that happens to have the name (`class Map {}`) inherits from this realm's Object.
  let length = 0
  let last: unknown = prototype
  for (let next: unknown = prototype; next !== null; next = Object.getPrototypeOf(next)) {
    last = next
    length += 1
  }
  return length === chain && last !== Object.prototype
}
