import { expect, it } from 'vitest'
import { backOffMs } from './back-off.ts'

it('grows from the first pause to the longest', () => {
  const pauses = [0, 1, 2, 3, 4].map((before) => backOffMs({ first: 10, most: 100 }, before))
  expect(pauses).toEqual([10, 20, 40, 80, 100])
  expect(backOffMs({ first: 10, most: 1e6, factor: 3 }, 2)).toBe(90)
  expect(backOffMs({ first: 10, most: 5 }, 0)).toBe(5)
})

it('stays a number however many pauses there were', () => {
  for (const pauses of [1023, 1024, 1e9, Infinity]) {
    expect(backOffMs({ first: 10, most: 100 }, pauses)).toBe(100)
    expect(backOffMs({ first: 0, most: 100, factor: 1000 }, pauses)).toBe(0)
  }
})
