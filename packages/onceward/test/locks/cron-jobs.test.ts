import { Cron } from 'croner'
import { describe, expect, it } from 'vitest'
import { OncewardError } from '../../src/core/errors.ts'
import { createLocks } from '../../src/locks/create-locks.ts'
import type { CronOptions, Schedule, TickRun } from '../../src/locks/cron-types.ts'
import type { FencingBackend } from '../../src/locks/lock-backend.ts'
import { memoryLocks } from '../../src/locks/memory/index.ts'
import { manualTime } from '../../src/testing/manual-time.ts'
import { at, base, everyMinute, fire, MINUTE, machine, START, typesOf } from './cron-machines.ts'

describe('a job', () => {
  it('tells of what its work throws, counts the tick as run, and goes on', async () => {
    const time = manualTime(START)
    const one = machine(time, memoryLocks({ clock: time }))
    const failure = new Error('the printer is on fire')
    const told: unknown[] = []
    const onError = (error: unknown, { tick }: TickRun) => {
      told.push([error, tick])
      throw new Error('and the alarm is broken')
    }
    one.locks.cron('job', { ...base, onCrash: 'retry', onError }, async () => {
      throw failure
    })
    await time.advance(2 * MINUTE)
    expect(told).toEqual([
      [failure, at(1)],
      [failure, at(2)],
    ])
    expect(typesOf(one)).toEqual(['tick-failed', 'tick-failed'])
    await one.locks.close()
  })

  it('asks again while the backend is away, and runs the tick within its grace', async () => {
    const time = manualTime(START)
    const backend = memoryLocks({ clock: time })
    let away = true
    const flaky: FencingBackend = {
      ...backend,
      async acquire(request) {
        if (away) throw new OncewardError('STORE_UNAVAILABLE', 'away')
        return backend.acquire(request)
      },
    }
    const one = machine(time, flaky)
    const ran: number[] = []
    one.locks.cron('job', base, () => ran.push(time.now()))
    await time.advance(MINUTE + 10_000)
    expect(ran).toEqual([])
    away = false
    await time.advance(45_000)
    expect(ran).toHaveLength(1)
    expect(typesOf(one)).toContain('tick-delayed')
    await one.locks.close()
  })

  it('records the end of a run although the backend was away for a while', async () => {
    const time = manualTime(START)
    const backend = memoryLocks({ clock: time })
    let failures = 0
    const flaky: FencingBackend = {
      ...backend,
      async mark(held, mark, keepMs) {
        if (mark.includes('done') && failures++ < 3) throw new OncewardError('STORE_UNAVAILABLE', 'away')
        return (await backend.mark?.(held, mark, keepMs)) ?? false
      },
    }
    const { locks } = machine(time, flaky)
    const outcome = fire({ locks }, { atMostMs: 30_000, tick: at(1) }, () => 'done')
    await time.advance(5000)
    expect(await outcome).toMatchObject({ outcome: 'ran', value: 'done' })
    expect(failures).toBe(4)
  })

  it('says when the next tick is, runs one on demand, and ends with the run that it is in', async () => {
    const time = manualTime(START)
    const one = machine(time, memoryLocks({ clock: time }))
    let finish = () => {}
    const job = one.locks.cron('job', base, ({ tick }) =>
      tick === at(1) ? new Promise<void>((resolve) => (finish = resolve)) : undefined,
    )
    expect(job.next()).toEqual(new Date(at(1)))
    expect(await job.trigger(START + 1)).toMatchObject({ outcome: 'ran', tick: START + 1 })
    expect(await job.trigger(new Date(START))).toMatchObject({ outcome: 'already' })
    await time.advance(MINUTE)
    let stopped = false
    const stopping = job.stop().then(() => {
      stopped = true
    })
    await time.advance(1000)
    expect(stopped).toBe(false)
    finish()
    await stopping
    expect(job.next()).toBeNull()
    await expect(job.trigger(at(9))).rejects.toMatchObject({ code: 'CLOSED' })
    expect(time.pending).toBe(0)
  })

  it('ends with its signal, with a closed backend, and with await using', async () => {
    const time = manualTime(START)
    const backend = memoryLocks({ clock: time })
    const { locks } = machine(time, backend)
    const controller = new AbortController()
    const job = locks.cron('a', { ...base, signal: controller.signal }, () => {})
    locks.cron('b', { ...base, signal: AbortSignal.abort() }, () => {})
    controller.abort()
    expect(job.next()).toBeNull()
    await locks.cron('c', base, () => {})[Symbol.asyncDispose]()
    locks.cron('d', base, () => {})
    await backend.close()
    await time.advance(MINUTE)
    expect(time.pending).toBe(0)
  })

  it('does not keep locks from being closed when its work hangs', async () => {
    const time = manualTime(START)
    const { locks } = machine(time, memoryLocks({ clock: time }))
    locks.cron('job', { ...base, atMostMs: 3_600_000 }, () => new Promise(() => {}))
    await time.advance(MINUTE)
    let closed = false
    const closing = locks.close().then(() => {
      closed = true
    })
    await time.advance(9000)
    expect(closed).toBe(false)
    await time.advance(10_000)
    await closing
  })

  it('is told of a schedule that cannot answer any more, goes on, and is refused one that never could', async () => {
    const time = manualTime(START)
    const one = machine(time, memoryLocks({ clock: time }))
    const ran: number[] = []
    let broken = false
    const schedule: Schedule = {
      next(after) {
        if (broken) throw new Error('the calendar is closed')
        return everyMinute.next(after)
      },
    }
    one.locks.cron('job', { ...base, schedule }, ({ tick }) => ran.push(tick))
    await time.advance(MINUTE)
    broken = true
    await time.advance(2 * MINUTE)
    expect(typesOf(one)).toContain('tick-delayed')
    broken = false
    await time.advance(2 * MINUTE)
    expect(ran.at(-1)).toBe(at(5))
    await one.locks.close()
    broken = true
    expect(() => one.locks.cron('other', { ...base, schedule }, () => {})).toThrow('the calendar is closed')
    const stuck: Schedule = { next: () => new Date(Number.NaN) }
    expect(() => one.locks.cron('other', { ...base, schedule: stuck }, () => {})).toThrow(
      /a later time or null/,
    )
  })

  it('leaves no timer when its schedule has come to its end', async () => {
    const time = manualTime(START)
    const { locks } = machine(time, memoryLocks({ clock: time }))
    const ran: number[] = []
    const twice: Schedule = { next: (after) => (after.getTime() < at(2) ? everyMinute.next(after) : null) }
    const job = locks.cron('job', { ...base, schedule: twice }, ({ tick }) => ran.push(tick))
    await time.advance(5 * MINUTE)
    expect(ran).toEqual([at(1), at(2)])
    expect(job.next()).toBeNull()
    expect(time.pending).toBe(0)
  })

  it('shows in inspect which tick runs', async () => {
    const time = manualTime(START)
    const { locks } = machine(time, memoryLocks({ clock: time }))
    locks.cron('job', base, () => new Promise(() => {}))
    await time.advance(MINUTE)
    expect((await locks.inspect('cron:job'))?.holders[0]?.meta).toBe('tick 2026-01-01T00:01:00.000Z')
  })

  it('waits for its time in short steps, so that a clock that is set forward is noticed', async () => {
    const time = manualTime(START)
    const { locks } = machine(time, memoryLocks({ clock: time }))
    const ran: number[] = []
    const newYear: Schedule = {
      next: (after) => new Date(Date.UTC(after.getUTCFullYear() + 1, 0, 1)),
    }
    locks.cron('yearly', { schedule: newYear, atMostMs: 1000 }, ({ tick }) => ran.push(tick))
    await time.advance(2 * MINUTE)
    time.jump(365 * 86_400_000 - 2 * MINUTE)
    await time.advance(MINUTE)
    expect(ran).toEqual([Date.UTC(2027, 0, 1)])
    await locks.close()
  })
})

describe('one tick that another scheduler fires', () => {
  it('runs on one of fifty callers, and the others are told why not', async () => {
    const time = manualTime(START)
    const backend = memoryLocks({ clock: time })
    let ran = 0
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, () =>
        fire(machine(time, backend), { atMostMs: 1000, tick: at(1) }, () => ++ran),
      ),
    )
    expect(ran).toBe(1)
    expect(outcomes.filter(({ outcome }) => outcome === 'ran')).toHaveLength(1)
    for (const { outcome } of outcomes) expect(['ran', 'busy', 'already']).toContain(outcome)
  })

  it('throws what the work throws, and does not run it again', async () => {
    const time = manualTime(START)
    const { locks } = machine(time, memoryLocks({ clock: time }))
    const failure = new Error('no')
    const tick = { atMostMs: 1000, tick: at(1) }
    await expect(
      fire({ locks }, tick, () => {
        throw failure
      }),
    ).rejects.toBe(failure)
    expect(await fire({ locks }, tick, () => {})).toEqual({ outcome: 'already', tick: at(1) })
  })

  it('gives greater fences to later ticks', async () => {
    const time = manualTime(START)
    const { locks } = machine(time, memoryLocks({ clock: time }))
    const fences: number[] = []
    for (const minute of [1, 2, 3])
      await fire({ locks }, { atMostMs: 1000, tick: at(minute) }, ({ fence }) => fences.push(fence))
    expect(fences).toHaveLength(3)
    expect(fences.toSorted((a, b) => a - b)).toEqual(fences)
    expect(new Set(fences).size).toBe(3)
  })

  it('refuses to guess about marks that it cannot read', async () => {
    const time = manualTime(START)
    const backend = memoryLocks({ clock: time })
    const held = { key: 'cron:job', token: 'another-version' }
    await backend.acquire({ ...held, mode: 'exclusive', permits: 1, ttlMs: 1000, owner: 'x' })
    await backend.mark?.(held, '2 whatever', 100_000)
    await backend.release(held)
    const { locks } = machine(time, backend)
    await expect(fire({ locks }, { atMostMs: 1000, tick: at(1) }, () => {})).rejects.toMatchObject({
      code: 'RECORD_CORRUPT',
    })
  })
})

describe('cron expressions', () => {
  async function ticksOf(options: Pick<CronOptions, 'schedule' | 'timezone'>, from: string, hours: number) {
    const time = manualTime(Date.parse(from))
    const { locks } = machine(time, memoryLocks({ clock: time }))
    const ran: string[] = []
    locks.cron('job', { atMostMs: 1000, ...options }, ({ tick }) => ran.push(new Date(tick).toISOString()))
    await time.advance(hours * 3_600_000)
    await locks.close()
    return ran
  }

  it('are read in their time zone', async () => {
    const noon = { schedule: '0 12 * * *', timezone: 'Asia/Tokyo' }
    expect(await ticksOf(noon, '2026-05-01T00:00:00Z', 30)).toEqual([
      '2026-05-01T03:00:00.000Z',
      '2026-05-02T03:00:00.000Z',
    ])
  })

  it('fire once in the night in which the clocks go forward, and once in the one in which they go back', async () => {
    const daily = { schedule: '30 2 * * *', timezone: 'Europe/Berlin' }
    expect(await ticksOf(daily, '2026-03-28T12:00:00Z', 24)).toHaveLength(1)
    expect(await ticksOf(daily, '2026-10-24T12:00:00Z', 24)).toHaveLength(1)
    const hourly = { schedule: '0 * * * *', timezone: 'Europe/Berlin' }
    const back = await ticksOf(hourly, '2026-10-24T22:30:00Z', 6)
    expect(new Set(back).size).toBe(back.length)
    expect(back).toHaveLength(6)
  })

  it('are refused at once when they cannot be read, with the reason', () => {
    const { locks } = machine(manualTime(), memoryLocks())
    const start = (options: Partial<CronOptions>) => () =>
      locks.cron('job', { ...base, ...options }, () => {})
    expect(start({ schedule: 'every now and then' })).toThrow(/"every now and then" cannot be read/)
    expect(start({ schedule: '* * * * *', timezone: 'Mars/Olympus' })).toThrow(/Mars\/Olympus/)
    expect(start({ timezone: 'UTC' })).toThrow(/timezone belongs to a cron expression/)
  })

  it('may be a Cron of croner, in three words', async () => {
    const cron = new Cron('*/2 * * * *', { timezone: 'UTC', paused: true })
    const schedule: Schedule = { next: (after) => cron.nextRun(after) }
    const ran = await ticksOf({ schedule }, '2026-05-01T00:00:00Z', 0.1)
    expect(ran).toEqual(['02', '04', '06'].map((minute) => `2026-05-01T00:${minute}:00.000Z`))
  })

  it('are read by another parser where one is given', async () => {
    const time = manualTime(START)
    const { locks } = machine(time, memoryLocks({ clock: time }))
    const ran: number[] = []
    const parser = (text: string) => {
      expect(text).toBe('@minutely')
      return everyMinute
    }
    locks.cron('job', { ...base, schedule: '@minutely', parser }, ({ tick }) => ran.push(tick))
    await time.advance(MINUTE)
    expect(ran).toEqual([at(1)])
    await locks.close()
  })
})

it('refuses options that make no sense, at once and with the mend', () => {
  const { locks } = machine(manualTime(), memoryLocks())
  const start = (options: object) => () => locks.cron('job', { ...base, ...options }, () => {})
  expect(start({ atMostMs: 0 })).toThrow(/atMostMs/)
  expect(start({ atLeastMs: 40_000 })).toThrow(/atLeastMs must not be longer/)
  expect(start({ onCrash: 'panic' })).toThrow(/skip, retry, hold/)
  expect(start({ missed: 'some' })).toThrow(/skip, latest, all/)
  expect(start({ maxMissed: 0 })).toThrow(/maxMissed/)
  expect(start({ every: 5 })).toThrow(/unknown field "every"/)
  expect(() => locks.cron('', base, () => {})).toThrow(/needs a name/)
  expect(() => locks.cron('x'.repeat(510), base, () => {})).toThrow(/the most is 512/)
  expect(() => locks.cron('job', { atMostMs: 1000, tick: 9e15 }, () => {})).toThrow(/tick must be/)
  expect(() => locks.cron('job', { atMostMs: 1000, tick: Number.NaN }, () => {})).toThrow(/tick must be/)
  // @ts-expect-error The work is missing.
  expect(() => locks.cron('job', base)).toThrow(/needs a function/)
})

it('refuses a backend that keeps no marks, and says why', () => {
  const backend = memoryLocks()
  const locks = createLocks({ ...backend, capabilities: { ...backend.capabilities, marks: false } })
  expect(() => locks.cron('job', base, () => {})).toThrow(/remembers the last tick/)
})
