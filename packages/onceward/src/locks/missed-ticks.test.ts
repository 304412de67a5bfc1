import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Schedule } from './cron-types.ts'
import { dueTicks, latestTick } from './missed-ticks.ts'

const every = (ms: number): Schedule => ({
  next: (after) => new Date((Math.floor(after.getTime() / ms) + 1) * ms),
})
const policy = { missed: 'skip', maxMissed: 3, graceMs: 60 } as const

it('runs the newest tick of those that are due, and drops the others', () => {
  expect(dueTicks(every(10), 100, 135, policy)).toEqual({ ticks: [130], dropped: 120 })
  expect(dueTicks(every(10), 100, 110, policy)).toEqual({ ticks: [110] })
  expect(dueTicks(every(10), 100, 109, policy)).toEqual({ ticks: [] })
})

it('drops a tick that is later than the grace, unless missed ticks are wanted', () => {
  expect(dueTicks(every(100), 100, 260, policy)).toEqual({ ticks: [], dropped: 200 })
  expect(dueTicks(every(100), 100, 259, policy)).toEqual({ ticks: [200] })
  expect(dueTicks(every(100), 100, 1000, { ...policy, missed: 'latest' })).toEqual({
    ticks: [1000],
    dropped: 900,
  })
  expect(dueTicks(every(100), 100, 1000, { ...policy, missed: 'all' })).toEqual({
    ticks: [800, 900, 1000],
    dropped: 700,
  })
})

it('asks a dense schedule few questions after a long time', () => {
  let asked = 0
  const dense = every(1000)
  const counted: Schedule = {
    next(after) {
      asked++
      return dense.next(after)
    },
  }
  expect(latestTick(counted, 1_000_000_000_999)).toBe(1_000_000_000_000)
  expect(dueTicks(counted, 0, 1_000_000_000_000, { ...policy, missed: 'all' }).ticks).toHaveLength(3)
  expect(asked).toBeLessThan(30)
})

it('ends with a schedule that ends, and refuses one that does not move on', () => {
  expect(dueTicks({ next: () => null }, 0, 1e12, policy)).toEqual({ ticks: [] })
  expect(latestTick({ next: () => null }, 1e12)).toBeUndefined()
  const stuck: Schedule = { next: () => new Date(500) }
  expect(() => dueTicks(stuck, 0, 1000, policy)).toThrow(TypeError)
})

it('finds the newest ticks of any schedule', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 100_000 }), { maxLength: 60 }),
      fc.integer({ min: 0, max: 100_000 }),
      fc.integer({ min: 0, max: 50_000 }),
      fc.integer({ min: 1, max: 8 }),
      (times, cursor, passed, maxMissed) => {
        const sorted = times.toSorted((a, b) => a - b)
        const schedule: Schedule = {
          next(after) {
            const found = sorted.find((time) => time > after.getTime())
            return found === undefined ? null : new Date(found)
          },
        }
        const now = cursor + passed
        const between = sorted.filter((time) => time > cursor && time <= now)
        const { ticks } = dueTicks(schedule, cursor, now, { missed: 'all', maxMissed, graceMs: 1 })
        expect(ticks).toEqual(between.slice(-maxMissed))
      },
    ),
  )
})
