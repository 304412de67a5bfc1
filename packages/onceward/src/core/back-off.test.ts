import { expect, it } from 'vitest'
import { backOffMs } from './back-off.ts'

it('grows from the first pause to the longest', () => {
  const pauses = [0, 1, 2, 3, 4].map((before) => backOffMs({ initialMs: 10, maxMs: 100 }, before))
  expect(pauses).toEqual([10, 20, 40, 80, 100])
  expect(backOffMs({ initialMs: 10, maxMs: 1e6, factor: 3 }, 2)).toBe(90)
  expect(backOffMs({ initialMs: 10, maxMs: 5 }, 0)).toBe(5)
})

it('stays a number however many pauses there were', () => {
  for (const pauses of [1023, 1024, 1e9, Infinity]) {
    expect(backOffMs({ initialMs: 10, maxMs: 100 }, pauses)).toBe(100)
    expect(backOffMs({ initialMs: 0, maxMs: 100, factor: 1000 }, pauses)).toBe(0)
  }
})
