import { expect, it } from 'vitest'
import { systemClock, systemRandom } from './system.ts'
import { uuidV7 } from './uuid-v7.ts'

const system = { clock: systemClock, random: systemRandom }

it('makes ids of version 7 that begin with the time, and never the same twice', () => {
  const at = (now: number) => uuidV7({ ...system, clock: { ...systemClock, now: () => now } })
  expect(at(0x0195bc1a58cc)).toMatch(/^0195bc1a-58cc-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
  expect(at(1000) < at(1001)).toBe(true)
  expect(new Set(Array.from({ length: 1000 }, () => uuidV7(system))).size).toBe(1000)
})
