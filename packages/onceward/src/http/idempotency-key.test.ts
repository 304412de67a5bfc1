import fc from 'fast-check'
import { parseItem } from 'structured-headers'
import { describe, expect, it } from 'vitest'
import { readIdempotencyKey } from './idempotency-key.ts'

const read = (...values: string[]) =>
  readIdempotencyKey(values.map((value) => ['Idempotency-Key', value] as const))

describe('the idempotency key of a request', () => {
  it('is the same quoted and bare', () => {
    expect(read('"8e03978e-40d5"')).toMatchObject({ kind: 'key', key: '8e03978e-40d5' })
    expect(read('8e03978e-40d5')).toMatchObject({ kind: 'key', key: '8e03978e-40d5' })
  })

  it('is echoed as it was sent', () => {
    expect(read('"a\\"b"')).toEqual({ kind: 'key', key: 'a"b', echo: '"a\\"b"' })
  })

  it('is absent without the field, whatever else there is', () => {
    expect(readIdempotencyKey([['X-Idempotency-Key', 'a']])).toEqual({ kind: 'absent' })
  })

  it('may have 255 bytes and not one more', () => {
    expect(read('k'.repeat(255)).kind).toBe('key')
    expect(read('k'.repeat(256)).kind).toBe('invalid')
    expect(read(`"${'k'.repeat(255)}"`).kind).toBe('key')
    expect(read(`"${'k'.repeat(256)}"`).kind).toBe('invalid')
  })

  it.each([
    ['repeated', ['a', 'a']],
    ['joined by an intermediary', ['a, b']],
    ['two quoted ones joined', ['"a", "b"']],
    ['empty', ['']],
    ['blank', ['   ']],
    ['an empty quoted text', ['""']],
    ['latin-1', ['\u00e9']],
    ['quoted latin-1', ['"\u00e9"']],
    ['a control byte', ['a\tb']],
    ['a quoted control byte', ['"a\tb"']],
    ['a DEL byte', ['a\u007f']],
    ['unclosed', ['"a']],
    ['with a stray quote', ['a"b']],
    ['with parameters', ['"a";v=1']],
    ['ending in a backslash', ['"a\\']],
    ['with a strange escape', ['"a\\n"']],
  ])('is refused when it is %s', (_, values) => {
    expect(read(...values).kind).toBe('invalid')
  })

  it.each(['__proto__', 'constructor', '*', '{tag}', "' OR 1=1", '%00', 'a:b', 'a;b'])(
    'takes %s as ordinary text',
    (key) => {
      expect(read(key)).toMatchObject({ kind: 'key', key })
    },
  )

  it('agrees with an independent parser of structured fields on every quoted text', () => {
    const soup = fc.string({
      unit: fc.constantFrom('a', 'Z', '7', ' ', '"', '\\', ',', ';', '=', '\t', '\u00e9', '\u007f'),
    })
    fc.assert(
      fc.property(soup, fc.boolean(), (inner, closed) => {
        const text = `"${inner}${closed ? '"' : ''}`
        const ours = read(text)
        const theirs = oracle(text)
        expect(ours.kind === 'key' ? ours.key : undefined).toBe(theirs)
      }),
      { numRuns: 2000 },
    )
  })
})

/** The text that an sf-string without parameters stands for; `undefined` for anything else, and for the empty one. */
function oracle(text: string): string | undefined {
  try {
    const [value, parameters] = parseItem(text)
    return typeof value === 'string' && value !== '' && parameters.size === 0 ? value : undefined
  } catch {
    return undefined
  }
}
