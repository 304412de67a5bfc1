import { expect, it } from 'vitest'
import { essentialMediaType, isJsonType } from './media-type.ts'

it.each([
  [undefined, ''],
  ['Application/JSON', 'application/json'],
  ['application/json; charset=UTF-8', 'application/json'],
  ['application/json;charset="utf8"', 'application/json'],
  ['text/plain; charset=ISO-8859-1', 'text/plain;charset=iso-8859-1'],
  ['multipart/form-data; boundary=xyz', 'multipart/form-data'],
])('%s is essentially %s', (given, essential) => {
  expect(essentialMediaType(given)).toBe(essential)
})

it('knows JSON by its name and by its suffix', () => {
  expect(
    ['application/json', 'application/vnd.api+json', 'text/json5', 'text/plain'].map(isJsonType),
  ).toEqual([true, true, false, false])
})
