import { expect, it } from 'vitest'
import { readPreferWait } from './prefer.ts'

it.each([
  ['wait=3', 3000],
  ['respond-async, wait=10', 10_000],
  ['WAIT=1', 1000],
  ['wait="2"', 2000],
  ['wait = 4', 4000],
  ['wait=0', 0],
  ['wait=3;why="not"', 3000],
  ['wait=1, wait=9', 1000],
  ['wait', undefined],
  ['wait=', undefined],
  ['wait=-1', undefined],
  ['wait=1.5', undefined],
  ['wait=1e3', undefined],
  ['wait=99999999999999999999', undefined],
  ['handling=strict', undefined],
])('Prefer: %s is %s ms', (value, expected) => {
  expect(readPreferWait([['Prefer', value]])).toBe(expected)
})
