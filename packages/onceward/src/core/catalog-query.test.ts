import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkedLimit, matches, parseCursor, toCursor } from './catalog-query.ts'
import { operationId } from './identity.ts'
import { claim } from './transitions.ts'

const NOW = Date.UTC(2026, 0, 1)

function record(scope: string, key: string) {
  const request = { owner: 'ada', leaseMs: 1, retentionMs: 1, onCrash: 'hold' } as const
  const { write } = claim(undefined, { id: operationId(scope, key), ...request }, NOW)
  if (!write) throw new Error('a first claim is granted')
  return write
}

describe('a limit', () => {
  it('is 100 unless given, and at most 1,000', () => {
    expect([undefined, 1, 1000].map(checkedLimit)).toEqual([100, 1, 1000])
    for (const wrong of [0, -1, 1.5, 1001, Number.NaN]) expect(() => checkedLimit(wrong)).toThrow(TypeError)
  })
})

describe('a cursor', () => {
  it('comes back as the position it was made of', () => {
    const time = fc.double({ min: 0, max: 8.64e15, noNaN: true }).map((ms) => Math.round(ms * 1000) / 1000)
    fc.assert(
      fc.property(time, fc.string({ minLength: 1, maxLength: 20 }), (createdAt, key) => {
        fc.pre(!key.includes('\ud800') && key.isWellFormed())
        const position = { createdAt, digest: operationId('s', key).digest }
        expect(parseCursor(toCursor(position))).toEqual(position)
      }),
    )
  })

  it('that no page has handed out is a TypeError, whatever it is', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => parseCursor(text)).toThrow(TypeError)
      }),
    )
    const digest = 'x'.repeat(43)
    for (const forged of [
      `-1:${digest}`,
      `1e9:${digest}`,
      `1:${digest}x`,
      `${'9'.repeat(17)}:${digest}`,
      `1:${digest}\n`,
    ]) {
      expect(() => parseCursor(Buffer.from(forged).toString('base64url'))).toThrow(TypeError)
    }
  })
})

describe('a query', () => {
  it('asks for a state, a scope, a literal beginning of the key and an age, all of them together', () => {
    const one = record('shop', '50%_off')
    expect(matches(one, {}, NOW)).toBe(true)
    expect(matches(one, { state: 'running', scope: 'shop', keyPrefix: '50%_', olderThanMs: 0 }, NOW)).toBe(
      true,
    )
    expect(matches(one, { state: 'done' }, NOW)).toBe(false)
    expect(matches(one, { scope: 'sho' }, NOW)).toBe(false)
    expect(matches(one, { keyPrefix: '50_' }, NOW)).toBe(false)
    expect(matches(one, { olderThanMs: 1 }, NOW)).toBe(false)
    expect(matches(one, { olderThanMs: 1 }, NOW + 1)).toBe(true)
  })
})
