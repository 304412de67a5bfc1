import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fingerprintOf } from './fingerprint.ts'

describe('the fingerprint of an input', () => {
  it('is SHA-256 as 43 URL-safe characters, over the canonical JSON of plain data', () => {
    expect(fingerprintOf({ b: null, a: [1, 'x'] })).toBe(
      createHash('sha256').update('{"a":[1,"x"],"b":null}').digest('base64url'),
    )
  })

  it('is undefined for no input', () => {
    expect(fingerprintOf(undefined)).toBe(undefined)
  })

  it('is another one for every value that can be told apart', () => {
    const at = new Date(1_700_000_000_000)
    const values: unknown[] = [
      ...[
        null,
        true,
        false,
        'true',
        'null',
        '',
        0,
        -0,
        1,
        '1',
        1n,
        '1n',
        'b1',
        1.5,
        2 ** 53,
        2n ** 53n,
        'u',
        'N',
      ],
      ...[
        Number.NaN,
        'NaN',
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
        '\ud800',
        '\\ud800',
        '\udc00',
      ],
      ...[
        at,
        at.toISOString(),
        at.getTime(),
        `d${at.getTime()}`,
        new Date(Number.NaN),
        { toJSON: at.toISOString() },
      ],
      ...[
        [],
        {},
        [undefined],
        [null],
        new Array(1),
        new Array(2),
        [[]],
        [{}],
        ['a', 'b'],
        ['a,b'],
        ['b', 'a'],
        Object.assign(new Array(3), { 0: 1, 2: 2 }),
        [1, undefined, 2],
      ],
      ...[
        { a: undefined },
        { a: null },
        { a: 1 },
        { a: '1' },
        { A: 1 },
        { a: [1] },
        { a: { b: 1 } },
        { 'a.b': 1 },
      ],
      ...[
        new Map(),
        new Set(),
        new Map([['a', 1]]),
        [['a', 1]],
        new Set(['a', 1]),
        new Set(['a']),
        new Map([[1, 'a']]),
      ],
      ...[
        new Map<unknown, unknown>([
          ['a', 1],
          ['b', 2],
        ]),
        new Map<unknown, unknown>([
          ['a', 2],
          ['b', 1],
        ]),
      ],
      ...[/a/, /a/g, '/a/', new URL('https://a.example/'), 'https://a.example/'],
      ...[new Uint8Array([1]), new Int8Array([1]), [1], Buffer.from('a'), 'YQ==', new Uint8Array([1]).buffer],
      ...[new DataView(new Uint8Array([1]).buffer), new Uint8Array([1, 0]), new Uint16Array([1])],
    ]
    const seen = new Map<string | undefined, unknown>()
    for (const value of values) {
      const fingerprint = fingerprintOf(value)
      expect(fingerprint).toMatch(/^[\w-]{43}$/)
      expect(seen.has(fingerprint) ? [seen.get(fingerprint), value] : 'unique').toBe('unique')
      seen.set(fingerprint, value)
    }
  })

  it('is the same for equal inputs in another order, bytes in another class, objects without prototype', () => {
    const same = (left: unknown, right: unknown) => expect(fingerprintOf(left)).toBe(fingerprintOf(right))
    same({ a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 })
    same(
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
      new Map([
        ['b', 2],
        ['a', 1],
      ]),
    )
    same(new Set([{ a: 1 }, 'x']), new Set(['x', { a: 1 }]))
    same(Buffer.from('x'), new Uint8Array([0x78]))
    same(Object.assign(Object.create(null), { a: 1 }), { a: 1 })
    same(0.1 + 0.2, 0.30000000000000004)
    same(1e3, 1000)
  })

  it('two inputs have the same one exactly when they are deeply equal (property)', () => {
    const value = fc.letrec((tie) => ({
      leaf: fc.oneof(
        fc.constantFrom(null, undefined, 0, -0, 1, 1n, '', 'a', '1', ',', '"', 'u', new Date(0), true),
        fc.string({ maxLength: 2 }),
      ),
      tree: fc.oneof({ depthSize: 'small' }, tie('leaf'), tie('list'), tie('object'), tie('map'), tie('set')),
      list: fc.array(tie('tree'), { maxLength: 3 }),
      object: fc.dictionary(fc.constantFrom('a', 'b', '__proto__', '0'), tie('tree'), {
        noNullPrototype: true,
      }),
      map: fc.array(fc.tuple(tie('leaf'), tie('tree')), { maxLength: 2 }).map((entries) => new Map(entries)),
      set: fc.array(tie('leaf'), { maxLength: 3 }).map((items) => new Set(items)),
    })).tree
    fc.assert(
      fc.property(value, value, (left, right) => {
        expect(fingerprintOf([left]) === fingerprintOf([right])).toBe(isDeepStrictEqual(left, right))
      }),
      { numRuns: 3000 },
    )
  })

  it('takes an instance of a class by its own word, and refuses a silent one', () => {
    class Price {
      #cents: number
      constructor(cents: number) {
        this.#cents = cents
      }
      toJSON() {
        return { cents: this.#cents }
      }
    }
    expect(fingerprintOf(new Price(1))).toBe(fingerprintOf(new Price(1)))
    expect(fingerprintOf(new Price(1))).not.toBe(fingerprintOf(new Price(2)))
    expect(fingerprintOf(new Price(1))).not.toBe(fingerprintOf({ cents: 1 }))
    class Silent {}
    expect(() => fingerprintOf({ order: new Silent() })).toThrow(
      /^input\.order is an instance of Silent; give its plain/,
    )
  })

  it('refuses what cannot be told apart, and never runs on', () => {
    class Endless {
      toJSON() {
        return new Endless()
      }
    }
    expect(() => fingerprintOf(new Endless())).toThrow('nested deeper than 1000 levels')
    expect(() => fingerprintOf(() => 1)).toThrow(/^input is a function/)
    expect(() => fingerprintOf([Promise.resolve()])).toThrow(/^input\[0\] is a promise/)
    expect(() => fingerprintOf(new (class Cart extends Map {})())).toThrow(/^input is an instance of Cart/)
    const cycle = new Map<string, unknown>()
    cycle.set('self', cycle)
    expect(() => fingerprintOf(cycle)).toThrow('refers back to itself')
    expect(fingerprintOf(new Array(2 ** 32 - 1))).toMatch(/^[\w-]{43}$/)
  })
})
