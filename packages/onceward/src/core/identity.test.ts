import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { callerScope, operationId } from './identity.ts'

const text = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter((some) => some.isWellFormed())

describe('operationId', () => {
  it('keeps scope and key as given, and digests them to 43 URL-safe characters', () => {
    const id = operationId('shop', 'order 1')
    expect(id).toMatchObject({ scope: 'shop', key: 'order 1' })
    expect(id.digest).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(id.digest).toBe(createHash('sha256').update('4:shoporder 1').digest('base64url'))
  })

  it('never changes: records stored by an earlier release are found again', () => {
    expect(operationId('payments', 'order-1').digest).toBe(PINNED)
  })

  it('gives two pairs of scope and key two digests, wherever the scope ends', () => {
    fc.assert(
      fc.property(text, text, fc.nat(), (scope, key, at) => {
        const characters = [...scope, ...key]
        const cut = 1 + (at % (characters.length - 1))
        const moved = operationId(characters.slice(0, cut).join(''), characters.slice(cut).join(''))
        expect(moved.digest === operationId(scope, key).digest).toBe(
          moved.scope === scope && moved.key === key,
        )
      }),
    )
  })

  it('measures length in bytes of UTF-8: 1,024 at most', () => {
    expect(operationId('s', 'é'.repeat(512)).key).toHaveLength(512)
    expect(() => operationId('s', 'é'.repeat(513))).toThrow(/key has 1026 bytes, the most is 1024/)
    expect(() => operationId('x'.repeat(1025), 'k')).toThrow(/scope has 1025 bytes/)
  })

  it('refuses what is empty, no text, or half a surrogate pair, and says which part', () => {
    expect(() => operationId('', 'k')).toThrow(/scope must be a non-empty string/)
    expect(() => operationId('s', '')).toThrow(/key must be a non-empty string/)
    expect(() => operationId('s', 7 as unknown as string)).toThrow(TypeError)
    expect(() => operationId('s', '\ud83d')).toThrow(/key holds half of a surrogate pair/)
  })
})

describe('callerScope', () => {
  it('never makes one text of two pairs', () => {
    fc.assert(
      fc.property(text, text, text, text, (namespace, caller, other, another) => {
        const same = namespace === other && caller === another
        expect(callerScope(namespace, caller) === callerScope(other, another)).toBe(same)
      }),
    )
    expect(callerScope('a', 'b/c')).not.toBe(callerScope('a/b', 'c'))
  })
})

const PINNED = 'pzBM3QwxolVL91ZJy8yJeCEfGd9_pIe5ArE8Ef7Zy5I'
