import { expect, it } from 'vitest'
import { errorNote } from './error-note.ts'
import { MAX_NOTE_CHARS } from './operation.ts'

it('writes down in short whatever was thrown', () => {
  const silent = Object.defineProperty(new Error('x'), 'message', {
    get() {
      throw new Error('no')
    },
  })
  expect(errorNote(new RangeError('too far'))).toBe('RangeError: too far')
  expect([errorNote('a word'), errorNote(new RangeError())]).toEqual(['a word', 'RangeError'])
  expect(errorNote({ message: 'like an error' })).toBe('Error: like an error')
  for (const [odd, text] of [
    [undefined, 'undefined'],
    [Number.NaN, 'NaN'],
    [Symbol('s'), 'Symbol(s)'],
    ['', 'an empty text'],
  ] as const)
    expect(errorNote(odd)).toBe(`${text} was thrown, which is not an Error`)
  expect(errorNote(new Error('half \ud83d, or \0'))).toBe('Error: half \ufffd, or \ufffd')
  expect(errorNote('x'.repeat(10_000))).toHaveLength(MAX_NOTE_CHARS)
  for (const hostile of [silent, Object.create(null)]) expect(errorNote(hostile)).toMatch(/not an Error/)
})
