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
  expect([errorNote('a word'), errorNote(undefined)]).toEqual(['a word', 'undefined'])
  expect(errorNote('half \ud83d')).toBe('half \ufffd')
  expect(errorNote('x'.repeat(10_000))).toHaveLength(MAX_NOTE_CHARS)
  for (const hostile of [silent, Object.create(null)]) expect(errorNote(hostile)).toMatch(/cannot be written/)
})
