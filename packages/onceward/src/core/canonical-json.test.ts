import canonicalizeModule from 'canonicalize'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson } from './canonical-json.ts'

// Its types describe a CommonJS namespace; at run time the default import is the function.
const canonicalize = canonicalizeModule as unknown as (value: unknown) => string | undefined

describe('canonical JSON (RFC 8785)', () => {
  it('writes the example of §3.2.2 and §3.2.4 byte for byte', () => {
    const value = {
      numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/',
      literals: [null, true, false],
    }
    expect(canonicalJson(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    )
  })

  it('sorts fields by UTF-16 code units, as the example of §3.2.3', () => {
    const value = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      1: 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    }
    expect(
      Object.values(
        JSON.parse(
          `[${canonicalJson(value)
            .slice(1, -1)
            .replaceAll(/"[^"]*":/g, '')}]`,
        ),
      ),
    ).toEqual([
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ])
  })

  it('writes numbers as the table of appendix B', () => {
    const bits: [string, string][] = [
      ['0000000000000000', '0'],
      ['8000000000000000', '0'],
      ['0000000000000001', '5e-324'],
      ['8000000000000001', '-5e-324'],
      ['7fefffffffffffff', '1.7976931348623157e+308'],
      ['ffefffffffffffff', '-1.7976931348623157e+308'],
      ['4340000000000000', '9007199254740992'],
      ['c340000000000000', '-9007199254740992'],
      ['4430000000000000', '295147905179352830000'],
      ['44b52d02c7e14af5', '9.999999999999997e+22'],
      ['44b52d02c7e14af6', '1e+23'],
      ['44b52d02c7e14af7', '1.0000000000000001e+23'],
      ['444b1ae4d6e2ef4e', '999999999999999700000'],
      ['444b1ae4d6e2ef4f', '999999999999999900000'],
      ['444b1ae4d6e2ef50', '1e+21'],
      ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
      ['3eb0c6f7a0b5ed8d', '0.000001'],
      ['41b3de4355555553', '333333333.3333332'],
      ['41b3de4355555554', '333333333.33333325'],
      ['41b3de4355555555', '333333333.3333333'],
      ['41b3de4355555556', '333333333.3333334'],
      ['41b3de4355555557', '333333333.33333343'],
      ['becbf647612f3696', '-0.0000033333333333333333'],
      ['43143ff3c1cb0959', '1424953923781206.2'],
    ]
    for (const [hex, written] of bits) {
      expect(canonicalJson(Buffer.from(hex, 'hex').readDoubleBE())).toBe(written)
    }
  })

  it('agrees with an independent implementation on any JSON value', () => {
    const json = fc.jsonValue({ depthSize: 'medium', stringUnit: 'binary' })
    fc.assert(
      fc.property(json, (value) => {
        expect(canonicalJson(value)).toBe(canonicalize(value))
      }),
      { numRuns: 1000 },
    )
  })

  it('reads back as the value, however its fields were ordered', () => {
    const shuffled = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(shuffled)
      if (typeof value !== 'object' || value === null) return value
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([name, part]) => [name, shuffled(part)]),
      )
    }
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        expect(canonicalJson(shuffled(value))).toBe(canonicalJson(value))
        // The canonical form writes -0 as 0.
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it('leaves out undefined fields and treats __proto__ as a field', () => {
    expect(canonicalJson({ b: undefined, a: 1 })).toBe('{"a":1}')
    expect(canonicalJson(JSON.parse('{"b":1,"__proto__":{"x":1}}'))).toBe('{"__proto__":{"x":1},"b":1}')
    expect(canonicalJson(Object.create(null))).toBe('{}')
  })

  const refused: [string, unknown, RegExp][] = [
    ['NaN', { price: Number.NaN }, /^value\.price is NaN/],
    ['infinity', [Number.NEGATIVE_INFINITY], /^value\[0\] is -Infinity/],
    ['undefined in a list', [1, undefined], /^value\[1\] is undefined/],
    ['undefined alone', undefined, /^value is undefined/],
    ['a hole', Object.assign(new Array(3), { 0: 1 }), /^value is a list with holes/],
    ['half a surrogate pair', { text: 'a\udc00' }, /^value\.text holds half of a surrogate pair/],
    ['half a surrogate pair in a name', { '\ud800': 1 }, /holds half of a surrogate pair/],
    ['a BigInt', { id: 1n }, /^value\.id is a BigInt.*write it as text/],
    ['a date', { at: new Date(0) }, /^value\.at is an instance of Date/],
    ['a map', new Map(), /^value is an instance of Map/],
    ['bytes', new Uint8Array(1), /^value is an instance of Uint8Array/],
    ['what only its toJSON could tell', { toJSON: () => 1 }, /^value\.toJSON is a function/],
    ['a symbol', [Symbol('x')], /^value\[0\] is a symbol/],
    ['a symbol as a name', { [Symbol('x')]: 1 }, /^value has a symbol/],
    ['a promise', Promise.resolve(), /^value is a promise/],
  ]
  for (const [name, value, message] of refused) {
    it(`refuses ${name}, naming the place`, () => {
      expect(() => canonicalJson(value)).toThrow(TypeError)
      expect(() => canonicalJson(value)).toThrow(message)
    })
  }

  it('refuses cycles and nesting beyond 1,000 levels, even a million', () => {
    const cycle: Record<string, unknown> = {}
    cycle['a'] = [cycle, cycle]
    expect(() => canonicalJson({ x: cycle })).toThrow('value.x.a[0] refers back to itself')
    let deep: unknown = []
    for (let level = 1; level < 1000; level += 1) deep = [deep]
    expect(canonicalJson(deep)).toBe('['.repeat(1000) + ']'.repeat(1000))
    for (let level = 0; level < 1_000_000; level += 1) deep = { deep }
    expect(() => canonicalJson(deep)).toThrow('value is nested deeper than 1000 levels')
  })
})
