import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson, deriveKey, inspectKey, type Key } from './key.ts'

const NOW = Date.parse('2026-03-04T05:06:07.890Z')
const clock = { now: () => NOW }
const volatile = (key: Key, allowVolatile: string[] = []) =>
  inspectKey(key, { clock, allowVolatile }).warnings.map((field) => `${field.path}: ${field.looksLike}`)

describe('deriving a key', () => {
  it('leaves text as it is', () => {
    for (const text of [
      'order-1',
      '__proto__',
      'constructor',
      "' OR 1=1",
      '*',
      '{tag}',
      '%00',
      ' ',
      'undefined',
      'é'.repeat(512),
    ]) {
      expect(deriveKey(text)).toBe(text)
    }
  })

  it('digests fields by SHA-256 over their canonical JSON', () => {
    const key = { order: 12, lines: ['a', { sku: 'x' }] }
    const digest = createHash('sha256').update(canonicalJson(key)).digest('base64url')
    expect(deriveKey(key)).toBe(`k1_${digest}`)
    expect(inspectKey(key)).toEqual({ key: `k1_${digest}`, canonical: canonicalJson(key), warnings: [] })
  })

  it('is the same for every order of fields and another for every other value', () => {
    expect(deriveKey({ a: 1, b: 2 })).toBe(deriveKey({ b: 2, a: 1 }))
    const keys: Key[] = [
      ['a', 'b'],
      ['ab'],
      ['a,b'],
      ['b', 'a'],
      [['a'], 'b'],
      { 0: 'a', 1: 'b' },
      [1],
      ['1'],
      [1n],
      [new Date(1)],
      [Buffer.from('1')],
    ]
    expect(new Set(keys.map((key) => deriveKey(key))).size).toBe(keys.length)
    expect(deriveKey([-0])).toBe(deriveKey([0]))
    expect(deriveKey([0.1 + 0.2])).toBe(deriveKey([0.30000000000000004]))
  })

  it('never makes one key of two different lists of text (property)', () => {
    const parts = fc.array(
      fc.string().filter((text) => text.trim() !== ''),
      { minLength: 1, maxLength: 4 },
    )
    fc.assert(
      fc.property(parts, parts, (left, right) => {
        expect(deriveKey(left) === deriveKey(right)).toBe(JSON.stringify(left) === JSON.stringify(right))
      }),
    )
  })

  const missing: [string, Key, RegExp][] = [
    ['undefined', ['charge', undefined], /^key\[1\] is undefined/],
    ['null', { order: { id: null } }, /^key\.order\.id is null/],
    ['an empty text', ['charge', ''], /^key\[1\] is an empty text/],
    ['blank text', ['charge', ' \t'], /^key\[1\] is an empty text/],
    ['NaN', { 'unit price': Number.NaN }, /^key\["unit price"\] is NaN/],
    ['infinity', [Number.POSITIVE_INFINITY], /^key\[0\] is Infinity/],
    ['an empty list', ['charge', []], /^key\[1\] is an empty list/],
    ['an empty object', { where: {} }, /^key\.where is an empty object/],
    ['no fields at all', {}, /^key is an empty object/],
    ['no parts at all', [], /^key is an empty list/],
    ['a hole', Object.assign(new Array(3), { 0: 'a', 2: 'b' }), /^key\[1\] is undefined/],
    ['undefined made text', ['undefined'], /^key\[0\] is the text 'undefined'/],
    ['an object made text', ['[object Object]'], /^key\[0\] is the text '\[object Object\]'/],
    ['an invalid date', [new Date(Number.NaN)], /^key\[0\] is an invalid date/],
    [
      'a rounded id',
      { id: Number('12345678901234567890') },
      /^key\.id is too large to be exact.*text or BigInt/,
    ],
    ['a function', ['a', () => 1], /^key\[1\] is a function/],
    ['an instance of a class', [new (class Order {})()], /^key\[0\] is an instance of Order/],
    ['a map', { where: new Map([[1, 2]]) }, /^key\.where is an instance of Map/],
    ['a promise', [Promise.resolve('x')], /^key\[0\] is an instance of Promise/],
    ['only yes and no', { paid: true, sent: false }, /everybody would share it/],
    ['empty text', '', /^key is empty/],
    ['half a surrogate pair', '\ud800', /^key holds half/],
    ['text that is too long', 'é'.repeat(513), /^key has 1026 bytes, the most is 1024; give it as a list/],
    ['a number', 5 as unknown as Key, /^key is number; give text, a list or an object/],
    ['nothing', undefined as unknown as Key, /^key is undefined; give text/],
  ]
  for (const [name, key, message] of missing) {
    it(`refuses ${name}, naming the place`, () => {
      expect(() => deriveKey(key)).toThrow(TypeError)
      expect(() => deriveKey(key)).toThrow(message)
      expect(() => inspectKey(key)).toThrow(message)
    })
  }

  it('refuses cycles and deep nesting', () => {
    const cycle: unknown[] = ['a']
    cycle.push(cycle)
    expect(() => deriveKey(cycle)).toThrow('key[1] refers back to itself')
    let deep: unknown[] = ['a']
    for (let level = 0; level < 1_000_000; level += 1) deep = [deep]
    expect(() => deriveKey(deep)).toThrow('key is nested deeper than 1000 levels')
  })
})

describe('parts that a retry would not have again', () => {
  it('are told by name', () => {
    for (const name of [
      'timestamp',
      'createdAt',
      'created_at',
      'now',
      'nonce',
      'requestId',
      'X-Request-Id',
      'sessionId',
      'traceId',
      'attempt',
      'csrf_token',
    ]) {
      expect(volatile({ order: 7, [name]: 'x' })).toEqual([expect.stringContaining(': ')])
    }
    expect(volatile({ order: 7, meta: { sentAt: 'today' } })).toEqual(['meta.sentAt: the time of the call'])
    expect(volatile({ order: 7, session: { user: 'x' } })).toEqual([
      'session: part of a visit, not of the act',
    ])
  })

  it('are told by the shape of their value', () => {
    const time = '[0]: the time of this moment'
    expect(volatile([new Date(NOW - 60_000)])).toEqual([time])
    expect(volatile(['2026-03-04T05:05:00Z'])).toEqual([time])
    expect(volatile(['2026-03-04T06:06:07.890+01:00'])).toEqual([time])
    expect(volatile([NOW])).toEqual([time])
    expect(volatile([Math.floor(NOW / 1000)])).toEqual([time])
    expect(volatile([String(NOW)])).toEqual([time])
    expect(volatile(['f47ac10b-58cc-4372-a567-0e02b2c3d479'])).toEqual(['[0]: a random id (UUIDv4)'])
    expect(volatile(['0195BC1A-58CC-7372-A567-0e02b2c3d479'])).toEqual(['[0]: a random id (UUIDv7)'])
    expect(volatile(['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl'])).toEqual(['[0]: a token (JWT)'])
    expect(volatile({ x: 'deadbeef'.repeat(4) })).toEqual(['x: a long random number (hex)'])
  })

  it('are not seen in what a retry does have again', () => {
    expect(
      volatile({
        order: 42,
        day: '2026-03-04',
        due: '2026-05-04T05:06:07Z',
        born: new Date(0),
        orderId: 'f47ac10b-58cc-4372-a567-0e02b2c3d479',
        named: '6ba7b811-9dad-51d4-80b4-00c04fd430c8',
        contentHash: 'deadbeef'.repeat(8),
        amount: 1_700_000_000,
        note: 'eyJ is how tokens begin',
      }),
    ).toEqual([])
    expect(volatile('f47ac10b-58cc-4372-a567-0e02b2c3d479')).toEqual([])
  })

  it('are silenced one by one, by path', () => {
    const key = { order: { createdAt: 5, nonce: 'n' }, list: [{ ts: 1 }] }
    expect(volatile(key, ['order.createdAt', 'list[0].ts'])).toEqual([
      'order.nonce: made at random for each call',
    ])
    expect(volatile(['x', NOW], ['[1]'])).toEqual([])
    expect(volatile({ 'sent-at': 1, a: 1 }, ['["sent-at"]'])).toEqual([])
  })

  it('are handed to onVolatile, never with their value, and change no key', () => {
    const seen: unknown[] = []
    const key = { order: 1, token: 'secret-7' }
    expect(deriveKey(key, { clock, onVolatile: (field) => seen.push(field) })).toBe(deriveKey(key))
    expect(seen).toEqual([{ path: 'token', looksLike: 'part of a visit, not of the act' }])
    expect(JSON.stringify(seen)).not.toContain('secret-7')
  })

  it('are looked for in time that is linear in the text', () => {
    const texts = ['a', 'eyJ', '0', '-', '.', 'f'].map((unit) => unit.repeat(300_000))
    const hostile = [
      ...texts,
      `eyJ${'a.'.repeat(200_000)}`,
      `${'f'.repeat(256)}g`,
      `2026-03-04T05:05${' '.repeat(300_000)}`,
    ]
    const before = performance.now()
    for (const text of hostile) volatile({ [text.slice(0, 50)]: text, x: text })
    // Quadratic patterns would take minutes here.
    expect(performance.now() - before).toBeLessThan(5000)
  })
})
