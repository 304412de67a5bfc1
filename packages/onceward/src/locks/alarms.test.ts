import { describe, expect, it } from 'vitest'
import { manualTime } from '../testing/manual-time.ts'
import { Alarm, Alarms } from './alarms.ts'

describe('alarms', () => {
  it('ring once, in time, whatever the distance, on one timer', async () => {
    const time = manualTime()
    const alarms = new Alarms({ clock: time, timers: time }, true)
    const late: number[] = []
    const distances = [0, 1, 31, 127, 128, 129.5, 500, 4095, 4096, 5000, 100_000, 3_000_001]
    for (const distance of distances) {
      const at = time.monotonic() + distance
      alarms.set(new Alarm(() => late.push(time.monotonic() - at)), at)
    }
    expect(time.pending).toBe(1)
    await time.advance(4_000_000)
    expect(late).toHaveLength(distances.length)
    for (const ms of late) {
      expect(ms).toBeGreaterThanOrEqual(0)
      expect(ms).toBeLessThanOrEqual(1)
    }
    expect(time.pending).toBe(0)
  })

  it('can be moved and cleared, also by one that rings', async () => {
    const time = manualTime()
    const alarms = new Alarms({ clock: time, timers: time }, true)
    const rang: string[] = []
    const second = new Alarm(() => rang.push('second'))
    const third = new Alarm(() => rang.push('third'))
    const first = new Alarm(() => {
      rang.push('first')
      alarms.clear(second)
      alarms.set(third, time.monotonic() + 5)
    })
    for (const alarm of [first, second, third]) alarms.set(alarm, 10)
    await time.advance(14)
    expect(rang).toEqual(['first'])
    await time.advance(1)
    expect(rang).toEqual(['first', 'third'])
    alarms.set(first, time.monotonic() + 1000)
    alarms.set(first, time.monotonic() + 10)
    alarms.clear(first)
    expect(time.pending).toBe(0)
  })

  it('come through many at random with none lost and none early', async () => {
    const time = manualTime()
    const alarms = new Alarms({ clock: time, timers: time }, true)
    let seed = 1
    const random = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed % below
    }
    const due = new Map<Alarm, number>()
    const lateMs: number[] = []
    for (let step = 0; step < 2000; step++) {
      const alarm: Alarm = new Alarm(() => {
        lateMs.push(time.monotonic() - (due.get(alarm) ?? Infinity))
        due.delete(alarm)
      })
      const at = time.monotonic() + random(6000)
      due.set(alarm, at)
      alarms.set(alarm, at)
      const [some] = due.keys()
      if (some && random(4) === 0) {
        alarms.clear(some)
        due.delete(some)
      }
      if (random(10) === 0) await time.advance(random(50))
    }
    await time.advance(6001)
    expect(due.size).toBe(0)
    expect(lateMs.length).toBeGreaterThan(1000)
    expect(Math.min(...lateMs)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...lateMs)).toBeLessThanOrEqual(1)
    expect(time.pending).toBe(0)
  })
})
