import { describe, expect, it } from 'vitest'
import type { CronOptions, TickRun } from '../../src/locks/cron-types.ts'
import { memoryLocks } from '../../src/locks/memory/index.ts'
import { manualTime } from '../../src/testing/manual-time.ts'
import { at, base, fire, type MachineOptions, MINUTE, machine, START, typesOf } from './cron-machines.ts'

describe('a run that is cut off', () => {
  /** Each place where the first instance can die, and whether its work had begun by then. */
  const places = [
    { dies: 'before the lock is asked for', diesAt: { method: 'acquire', nth: 1, applied: false }, begun: 0 },
    { dies: 'with the lock', diesAt: { method: 'acquire', nth: 1, applied: true }, begun: 0 },
    { dies: 'before the start is recorded', diesAt: { method: 'mark', nth: 1, applied: false }, begun: 0 },
    {
      dies: 'when the start is recorded',
      diesAt: { method: 'mark', nth: 1, applied: true },
      begun: 0,
      marked: true,
    },
    {
      dies: 'before the end is recorded',
      diesAt: { method: 'mark', nth: 2, applied: false },
      begun: 1,
      marked: true,
    },
    {
      dies: 'when the end is recorded',
      diesAt: { method: 'mark', nth: 2, applied: true },
      begun: 1,
      done: true,
    },
    {
      dies: 'before the lock is given back',
      diesAt: { method: 'release', nth: 1, applied: false },
      begun: 1,
      done: true,
    },
  ] as const

  async function crash(options: Partial<CronOptions>, diesAt: MachineOptions['diesAt']) {
    const time = manualTime(START + 10_000)
    const backend = memoryLocks({ clock: time })
    const dying = machine(time, backend, diesAt ? { diesAt } : {})
    const other = machine(time, backend, { skewMs: -2000 })
    const ran: { by: string; tick: number; attempt: number }[] = []
    const record =
      (by: string) =>
      ({ tick, attempt }: TickRun) => {
        ran.push({ by, tick: (tick - START) / MINUTE, attempt })
      }
    dying.locks.cron('job', { ...base, ...options }, record('dying'))
    other.locks.cron('job', { ...base, ...options }, record('other'))
    await time.advance(MINUTE + 40_000)
    return { time, ran, other, ofFirst: ran.filter(({ tick }) => tick === 1) }
  }

  for (const place of places) {
    it(`runs at most once with skip: it dies ${place.dies}`, async () => {
      const { ofFirst, other } = await crash({ onCrash: 'skip' }, place.diesAt)
      expect(ofFirst).toHaveLength('marked' in place || 'done' in place ? place.begun : 1)
      await other.locks.close()
    })

    it(`is run to its end with retry: it dies ${place.dies}`, async () => {
      const { ofFirst, other } = await crash({ onCrash: 'retry' }, place.diesAt)
      const byOther = ofFirst.filter(({ by }) => by === 'other')
      if ('done' in place) expect(byOther).toEqual([])
      else expect(byOther).toEqual([{ by: 'other', tick: 1, attempt: 'marked' in place ? 2 : 1 }])
      await other.locks.close()
    })

    it(`stops everything with hold unless it is known to have ended or not begun: it dies ${place.dies}`, async () => {
      const { time, ran, other } = await crash({ onCrash: 'hold' }, place.diesAt)
      await time.advance(2 * MINUTE)
      const later = ran.filter(({ tick }) => tick > 1).length
      if ('marked' in place) {
        expect(later).toBe(0)
        expect(typesOf(other)).toContain('tick-held')
      } else expect(later).toBeGreaterThan(0)
      await other.locks.close()
    })
  }

  it('is held until somebody decides, and says so at every tick', async () => {
    const diesAt = { method: 'mark', nth: 2, applied: false } as const
    const { time, ran, other } = await crash({ onCrash: 'hold' }, diesAt)
    await time.advance(2 * MINUTE)
    expect(other.events.filter(({ type }) => type === 'tick-held').length).toBeGreaterThan(1)
    expect(await other.locks.resolveTick('job', { as: 'retry', reason: 'nothing was sent' })).toBe(at(1))
    await time.advance(MINUTE)
    expect(ran.slice(1)).toEqual([
      { by: 'other', tick: 1, attempt: 2 },
      { by: 'other', tick: 4, attempt: 1 },
    ])
    expect(await other.locks.resolveTick('job', { as: 'done', reason: 'to be sure' })).toBeUndefined()
    await other.locks.close()
  })

  it('counts as run once somebody has decided so', async () => {
    const diesAt = { method: 'mark', nth: 2, applied: false } as const
    const { time, ran, other } = await crash({ onCrash: 'hold' }, diesAt)
    await other.locks.resolveTick('job', { as: 'done', reason: 'the mail is in the outbox', by: 'ann' })
    const message = 'done by ann: the mail is in the outbox'
    expect(other.events).toContainEqual({ type: 'tick-resolved', key: 'cron:job', tick: at(1), message })
    await time.advance(MINUTE)
    expect(ran.slice(1)).toEqual([{ by: 'other', tick: 2, attempt: 1 }])
    await other.locks.close()
  })

  it('is begun at most maxAttempts times', async () => {
    const time = manualTime(START)
    const backend = memoryLocks({ clock: time })
    const attempts: number[] = []
    const tick = { tick: at(1), atMostMs: 1000, ttlMs: 1000, onCrash: 'retry', maxAttempts: 3 } as const
    for (let n = 0; n < 4; n++) {
      const one = machine(time, backend)
      void fire(one, tick, ({ attempt }) => {
        attempts.push(attempt)
        return new Promise(() => {})
      })
      await time.advance(0)
      one.die()
      await time.advance(2000)
    }
    expect(attempts).toEqual([1, 2, 3])
    const { locks } = machine(time, backend)
    expect(await fire({ locks }, tick, () => {})).toMatchObject({ outcome: 'already' })
    expect(await fire({ locks }, { ...tick, tick: at(2) }, () => {})).toMatchObject({ outcome: 'ran' })
  })

  it('cannot be told apart by who comes back late: its end is not recorded any more', async () => {
    const time = manualTime(START)
    const backend = memoryLocks({ clock: time })
    const [paused, other] = [machine(time, backend), machine(time, backend)]
    const options = { atMostMs: 1000, ttlMs: 1000 }
    let resume = () => {}
    const late = fire(paused, { ...options, tick: at(1) }, async (run) => {
      await new Promise<void>((resolve) => {
        resume = resolve
      })
      return run.lease.remainingMs()
    })
    await time.advance(0)
    time.jump(5000)
    expect(await fire(other, { ...options, tick: at(2) }, () => {})).toMatchObject({
      outcome: 'ran',
    })
    resume()
    expect(await late).toEqual({ outcome: 'lost', tick: at(1), attempt: 1, value: 0 })
    expect((await other.locks.inspect('cron:job'))?.mark).toContain(String(at(2)))
  })
})
