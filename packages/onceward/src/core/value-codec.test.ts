import { deepStrictEqual, strictEqual } from 'node:assert'
import { createContext, runInContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { valueCodec } from './value-codec.ts'

const text = (value: unknown) => Buffer.from(valueCodec.encode(value)).toString()
const copyOf = <T>(value: T) => valueCodec.decode(valueCodec.encode(value)) as T
const decodeText = (json: string) => valueCodec.decode(Buffer.from(json))

/** A list whose other places are holes. */
const holed = (length: number, items: Record<number, unknown>): unknown[] =>
  Object.assign(new Array(length), items)

describe('values come back with their types', () => {
  const values: Record<string, unknown> = {
    undefined: undefined,
    null: null,
    true: true,
    'minus zero': -0,
    NaN: Number.NaN,
    infinity: Number.POSITIVE_INFINITY,
    'minus infinity': Number.NEGATIVE_INFINITY,
    'smallest number': 5e-324,
    'text with half a surrogate pair': 'a\ud800b\udc00',
    'text that begins like a tag': '~["date",0]',
    'a huge integer': -(2n ** 200n),
    'zero as BigInt': 0n,
    'a date': new Date(1_700_000_000_123),
    'the last date': new Date(8.64e15),
    'a pattern': /a\/[b]\n/giu,
    'a URL': new URL('https://user@example.org:8443/a?b=c#d'),
    'a Buffer': Buffer.from('héllo'),
    'an empty Buffer': Buffer.alloc(0),
    bytes: new Uint8Array([0, 255, 127]),
    'clamped bytes': new Uint8ClampedArray([1, 2]),
    floats: new Float64Array([Number.NaN, -0, 1.5]),
    'big integers': new BigInt64Array([-1n, 2n]),
    'an ArrayBuffer': new Uint8Array([9, 8]).buffer,
    'a DataView': new DataView(new Uint8Array([1, 2, 3]).buffer),
    'a map with object keys': new Map<unknown, unknown>([
      [{ a: 1 }, new Set([1, [2]])],
      [Number.NaN, undefined],
      [[1], [[2]]],
    ]),
    'a set': new Set([undefined, null, 'x', -1]),
    'a list with holes': holed(6, { 0: 1, 2: undefined, 4: 4 }),
    'only holes': new Array(3),
    'a list of lists': [[], [[]], [undefined]],
    'an object without prototype': Object.assign(Object.create(null), { a: [new Date(0)], b: undefined }),
    'fields that look like tags': { date: ['date', 5], list: ['list'], undefined: ['undefined'] },
    'a list that looks like a tag': ['date', 5, new Date(5)],
    'fields that are numbers': { 2: 'b', 1: 'a', x: undefined },
    'a settled promise': [{ status: 'rejected', reason: new RangeError('no', { cause: new Date(1) }) }],
    'an error with fields': Object.assign(new TypeError('bad'), { code: 'E_BAD', at: [1, 2n] }),
    'an error without message': new Error(),
    'many errors': new AggregateError([new Error('a'), 5], 'both'),
  }
  for (const [name, value] of Object.entries(values)) {
    it(name, () => {
      const copy = copyOf(value)
      deepStrictEqual(copy, value)
      if (typeof value === 'object' && value !== null) {
        strictEqual(Object.getPrototypeOf(copy), Object.getPrototypeOf(value))
        expect(copy).not.toBe(value)
      }
    })
  }

  it('an invalid date', () => {
    const copy = copyOf({ at: new Date(Number.NaN) })
    expect(copy.at).toBeInstanceOf(Date)
    expect(copy.at.getTime()).toBeNaN()
  })

  it('keeps what no comparison shows: hidden fields of errors stay hidden, patterns keep their place', () => {
    const error = copyOf(Object.assign(new Error('m', { cause: 1 }), { code: 'X' }))
    expect(Object.keys(error)).toEqual(['code'])
    expect(error.stack).toBe('Error: m')
    const pattern = /a/g
    pattern.lastIndex = 7
    expect(copyOf(pattern).lastIndex).toBe(7)
    const sparse = copyOf(holed(3, { 0: 1, 2: 3 }))
    expect(1 in sparse).toBe(false)
  })

  it('stores plain JSON as plain JSON, for people to read', () => {
    expect(text({ id: 1, tags: ['a', null] })).toBe('{"id":1,"tags":["a",null]}')
    expect(text({ at: new Date(5), tags: ['a'] })).toBe('~{"at":["date",5],"tags":["list","a"]}')
  })

  it('stores of a view what it shows, not its whole buffer', () => {
    const whole = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8])
    const copy = copyOf(new Uint16Array(whole.buffer, 2, 2))
    deepStrictEqual([...copy], [...new Uint16Array(whole.buffer, 2, 2)])
    expect(copy.buffer.byteLength).toBe(4)
  })

  it('takes objects of another realm for what they are', () => {
    const foreign: unknown = runInContext(
      '({ o: { a: [1] }, d: new Date(3), m: new Map([[1, new Set([2])]]), b: new Uint8Array([7]), e: new TypeError("t") })',
      createContext({}),
    )
    const copy = copyOf(foreign)
    deepStrictEqual(copy, {
      o: { a: [1] },
      d: new Date(3),
      m: new Map([[1, new Set([2])]]),
      b: new Uint8Array([7]),
      e: new TypeError('t'),
    })
  })

  it('keeps a field named __proto__ a field, and prototypes clean', () => {
    const plain: unknown = JSON.parse(
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
    )
    const tagged: unknown = { at: new Date(0), inner: plain }
    deepStrictEqual(copyOf(plain), plain)
    deepStrictEqual(copyOf(tagged), tagged)
    const dated = JSON.parse('{"__proto__":0}') as Record<string, unknown>
    Object.defineProperty(dated, '__proto__', { value: new Date(4), enumerable: true })
    const copy = copyOf(dated)
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype)
    expect(Object.getOwnPropertyDescriptor(copy, '__proto__')?.value).toEqual(new Date(4))
    const bare = copyOf(Object.assign(Object.create(null), plain)) as object
    expect(Object.getPrototypeOf(bare)).toBe(null)
    expect(({} as Record<string, unknown>)['polluted']).toBe(undefined)
  })

  it('any value that it takes (property)', () => {
    const key = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('__proto__', 'list', 'toJSON', '~', '0'),
    )
    const { tree } = fc.letrec((tie) => ({
      leaf: fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.string({
          unit: fc.integer({ min: 0xd7f0, max: 0xe010 }).map((code) => String.fromCharCode(code)),
        }),
        fc.double(),
        fc.integer(),
        fc.boolean(),
        fc.constantFrom(null, undefined, -0),
        fc.bigInt(),
        fc.date({ noInvalidDate: true }),
        fc.uint8Array(),
        fc.float32Array(),
        fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      ),
      tree: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        tie('leaf'),
        tie('array'),
        tie('sparse'),
        tie('object'),
        tie('map'),
        tie('set'),
      ),
      array: fc.array(tie('tree'), { maxLength: 5 }),
      sparse: fc.sparseArray(tie('tree'), { maxLength: 8 }),
      object: fc.dictionary(key, tie('tree'), { maxKeys: 5 }),
      map: fc.array(fc.tuple(tie('tree'), tie('tree')), { maxLength: 4 }).map((entries) => new Map(entries)),
      set: fc.array(tie('tree'), { maxLength: 4 }).map((items) => new Set(items)),
    }))
    fc.assert(
      fc.property(tree, (value) => {
        const copy = copyOf(value)
        deepStrictEqual(copy, value)
        expect(shareParts(copy, value)).toBe(false)
      }),
      // Each run takes some ms, and each test run other values; on a busy machine fewer are tried.
      { numRuns: 250, interruptAfterTimeLimit: 5000 },
    )
  })
})

/** Whether any object within `left` is also within `right`. */
function shareParts(left: unknown, right: unknown): boolean {
  const parts = new Set<unknown>()
  const walk = (value: unknown, see: (part: object) => boolean): boolean => {
    if (typeof value !== 'object' || value === null) return false
    if (see(value)) return true
    if (ArrayBuffer.isView(value)) return value.byteLength > 0 && see(value.buffer)
    const inner =
      value instanceof Map ? [...value].flat() : value instanceof Set ? [...value] : Object.values(value)
    return inner.some((part) => walk(part, see))
  }
  walk(right, (part) => {
    parts.add(part)
    return false
  })
  return walk(left, (part) => parts.has(part))
}

describe('refuses, naming the place, what would not come back', () => {
  class Money {
    amount = 5
  }
  const cycle: Record<string, unknown> = { list: [1] }
  ;(cycle['list'] as unknown[]).push({ back: cycle })
  const symbolic = { [Symbol('s')]: 1 }
  const cases: [string, unknown, RegExp][] = [
    ['a function', { a: [1, () => 1] }, /^value\.a\[1\] is a function/],
    ['a symbol', { 'a b': Symbol('x') }, /^value\["a b"\] is a symbol/],
    ['a symbol as a field', { a: symbolic }, /^value\.a has a symbol/],
    ['an instance of a class', [new Money()], /^value\[0\] is an instance of Money.*return a plain object/],
    ['a subclass of Map', new (class Bag extends Map {})(), /^value is an instance of Bag/],
    ['a subclass of Error', new (class Oops extends Error {})('x'), /^value is an instance of Oops/],
    ['a subclass of Array', new (class Row extends Array {})(), /^value is an instance of Row/],
    ['a boxed number', { n: Object(1) }, /^value\.n is an instance of Number/],
    ['a promise', { rows: Promise.resolve(1) }, /^value\.rows is a promise; await it/],
    ['a WeakMap', new WeakMap(), /^value is an instance of WeakMap/],
    ['shared memory', new Uint8Array(new SharedArrayBuffer(2)), /^value is an instance of Uint8Array/],
    ['a cycle', { cycle }, /^value\.cycle\.list\[1\]\.back refers back to itself/],
    ['a match with its extras', /b/.exec('abc'), /^value is a list with the field "groups"/],
    ['a date with a field', Object.assign(new Date(0), { zone: 'UTC' }), /^value has the field "zone"/],
    ['endless holes', new Array(2 ** 32 - 1), /^value has more than 100000 holes/],
    [
      'a getter that throws',
      {
        a: {
          get b() {
            throw new Error('boom')
          },
        },
      },
      /^value\.a\.b cannot be read/,
    ],
  ]
  for (const [name, value, message] of cases) {
    it(name, () => {
      expect(() => valueCodec.encode(value)).toThrow(TypeError)
      expect(() => valueCodec.encode(value)).toThrow(message)
    })
  }

  it('nesting beyond 1,000 levels, however deep it goes', () => {
    for (const wrap of [
      (inner: unknown) => [inner],
      (inner: unknown) => Object.assign(Object.create(null), { inner }),
    ]) {
      let value: unknown = 1
      for (let level = 0; level < 1000; level += 1) value = wrap(value)
      deepStrictEqual(copyOf(value), value)
      expect(() => valueCodec.encode(wrap(value))).toThrow('value is nested deeper than 1000 levels')
      for (let level = 0; level < 1_000_000; level += 1) value = wrap(value)
      expect(() => valueCodec.encode(value)).toThrow('value is nested deeper than 1000 levels')
    }
  })

  it('a value that multiplies by references, before it takes all memory', { timeout: 60_000 }, () => {
    for (const leaf of ['x', undefined]) {
      let value: unknown = [leaf]
      for (let level = 0; level < 60; level += 1) value = [value, value]
      expect(() => valueCodec.encode(value)).toThrow('value has more than 4000000 parts')
    }
  })
})

describe('decode refuses what encode does not write', () => {
  const texts: Record<string, string> = {
    nothing: '',
    'a tag for functions': '~["function","return 1"]',
    'a tag for classes': '~["class","Money",{}]',
    'a tag named like a method': '~["constructor"]',
    'a list without a tag': '~[1,2]',
    'an empty list': '~[]',
    'a tag in a list': '~[["undefined"]]',
    'a tag that is null': '~[null]',
    'a tag with its parts in it': '~["number(string)"]',
    'what follows the end': '{"a":1} x',
    'what follows the end of a tagged value': '~["undefined"]["undefined"]',
    'undefined with parts': '~["undefined",1]',
    'an infinite date': '~["date",1e300]',
    'a date in words': '~["date","2020-01-01"]',
    'a number that is one': '~["number","5"]',
    'a number in words': '~["number","0x10"]',
    'a BigInt with a sign too many': '~["bigint","--1"]',
    'a BigInt of spaces': '~["bigint"," "]',
    'a pattern that is none': '~["regexp","(","",0]',
    'half a map': '~["map",1]',
    'bytes of no known class': '~["bytes","Function",""]',
    'bytes of an inherited name': '~["bytes","toString",""]',
    'bytes that are not base64': '~["bytes","Buffer","a b"]',
    'half an element': '~["bytes","Uint32Array","AAA="]',
    'an error of no known class': '~["error","Function",{},{}]',
    'a list of endless holes': '~["sparse",4294967295]',
    'a list with an entry beyond its end': '~["sparse",2,5,1]',
    'a byte order mark': '\ufeff1',
  }
  for (const [name, json] of Object.entries(texts)) {
    it(name, () => expect(() => decodeText(json)).toThrow(TypeError))
  }

  it('bytes that are not UTF-8', () => {
    expect(() => valueCodec.decode(Buffer.from([0x22, 0xff, 0x22]))).toThrow('not text that this codec wrote')
  })

  it('a million levels, without building them', () => {
    for (const prefix of ['', '~', '{"a":"\\\\\\"[",  "b":']) {
      const bomb = `${prefix}${'["list",'.repeat(1_000_000)}`
      const before = process.memoryUsage().heapUsed
      expect(() => decodeText(bomb)).toThrow(/nested deeper/)
      expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1024 * 1024)
    }
  })

  it('counts no brackets inside of text', () => {
    const value = { text: '[{'.repeat(5000), slash: `${'\\'.repeat(2001)}"[[`, list: [`"[\\"`] }
    deepStrictEqual(copyOf(value), value)
  })
})
