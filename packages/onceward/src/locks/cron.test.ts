import { describe, expect, it } from 'vitest'
import { OncewardError } from '../core/errors.ts'
import { type ManualTime, manualTime } from '../testing/manual-time.ts'
import { createLocks } from './create-locks.ts'
import type { CronOptions, Schedule, SingleTick, TickOutcome, TickRun } from './cron-types.ts'
import type { FencingBackend } from './lock-backend.ts'
import type { LockEvent, Locks } from './lock-types.ts'
import { memoryLocks } from './memory/memory-locks.ts'

const MINUTE = 60_000
const START = Date.UTC(2026, 0, 1)
const everyMinute: Schedule = {
  next: (after) => new Date((Math.floor(after.getTime() / MINUTE) + 1) * MINUTE),
}
const at = (minutes: number): number => START + minutes * MINUTE

/** One machine: its clock, and a switch that kills it. */
interface Machine {
  readonly locks: Locks<number>
  readonly events: LockEvent[]
  /** From now on nothing that it sent is answered, and none of its timers fires. */
  die(): void
}

interface MachineOptions {
  readonly skewMs?: number
  /** Dies when it calls this method of the backend, before or after the call is carried out. */
  readonly diesAt?: { readonly method: keyof FencingBackend; readonly nth: number; readonly applied: boolean }
}

function machine(time: ManualTime, backend: FencingBackend, options: MachineOptions = {}): Machine {
  const { skewMs = 0, diesAt } = options
  const events: LockEvent[] = []
  let dead = false
  let calls = 0
  const never = new Promise<never>(() => {})
  const wired = new Proxy(backend, {
    get(target, method: keyof FencingBackend) {
      const value = target[method]
      if (typeof value !== 'function' || method === 'watch') return value
      return async (...args: unknown[]) => {
        if (dead) return never
        const hit = diesAt?.method === method && ++calls === diesAt.nth
        if (hit) dead = true
        if (hit && !diesAt.applied) return never
        const reply: unknown = await Reflect.apply(value, target, args)
        return dead ? never : reply
      }
    },
  })
  const locks = createLocks(wired, {
    clock: { now: () => time.now() + skewMs, monotonic: () => time.monotonic() },
    timers: { after: (delayMs, callback) => time.after(delayMs, () => dead || callback()) },
    observer: (event) => events.push(event),
  })
  return {
    locks,
    events,
    die() {
      dead = true
    },
  }
}

/** What another scheduler does. */
function fire<T>(
  { locks }: { readonly locks: Locks<number> },
  tick: SingleTick,
  fn: (run: TickRun<number>) => T | Promise<T>,
): Promise<TickOutcome<T>> {
  return locks.cron('job', tick, fn)
}

const base = { schedule: everyMinute, atMostMs: 30_000, ttlMs: 6000 } satisfies CronOptions
const typesOf = ({ events }: Machine) =>
  events.map(({ type }) => type).filter((type) => type.startsWith('tick'))

describe('a schedule that several instances follow', () => {
  it('runs each tick on one of them, however far their clocks are apart', async () => {
    const time = manualTime(START)
    const backend = memoryLocks({ clock: time })
    const ran: string[] = []
    const jobs = [0, 30_000, -30_000].map((skewMs, index) =>
      machine(time, backend, { skewMs }).locks.cron('report', base, ({ tick }) => {
        ran.push(`${(tick - START) / MINUTE} on ${index}`)
      }),
    )
    await time.advance(5 * MINUTE + 45_000)
    // The one whose clock is ahead comes first to every tick.
    expect(ran).toEqual(['1 on 1', '2 on 1', '3 on 1', '4 on 1', '5 on 1', '6 on 1'])
    await Promise.all(jobs.map((job) => job.stop()))
    expect(time.pending).toBe(0)
  })

  it('goes on with the ticks when the instance that was always first has died', async () => {
    const time = manualTime(START)
    const backend = memoryLocks({ clock: time })
    const ran: number[] = []
    const fast = machine(time, backend, { skewMs: 30_000 })
    const slow = machine(time, backend)
    for (const { locks } of [fast, slow]) locks.cron('report', base, ({ tick }) => ran.push(tick))
    await time.advance(2 * MINUTE + 40_000)
    fast.die()
    await time.advance(2 * MINUTE)
    // Tick 3 had run before its time by the clock of the slow one, and is not run again by it.
    expect(ran).toEqual([at(1), at(2), at(3), at(4)])
    await slow.locks.close()
  })

  it('does not run a tick again when a clock is set back', async () => {
    const time = manualTime(START)
    const backend = memoryLocks({ clock: time })
    let setBackMs = 0
    const ran: number[] = []
    const locks = createLocks(backend, {
      clock: { now: () => time.now() - setBackMs, monotonic: () => time.monotonic() },
      timers: time,
    })
    locks.cron('report', base, ({ tick }) => ran.push(tick))
    await time.advance(2 * MINUTE)
    setBackMs = 90_000
    await time.advance(3 * MINUTE)
    expect(ran).toEqual([at(1), at(2), at(3)])
    await locks.close()
  })

  it('refuses to run the ticks of a clock that is hours ahead: they are left to the others', async () => {
    const time = manualTime(START)
    const backend = memoryLocks({ clock: time })
    const wrong = machine(time, backend, { skewMs: 3 * 3_600_000 })
    const right = machine(time, backend)
    const ran: number[] = []
    for (const { locks } of [wrong, right]) locks.cron('report', base, ({ tick }) => ran.push(tick))
    await time.advance(2 * MINUTE)
    expect(ran).toEqual([at(1), at(2)])
    expect(wrong.events).toContainEqual(
      expect.objectContaining({ type: 'tick-refused', message: expect.stringContaining('10800 s ahead') }),
    )
    await Promise.all([wrong.locks.close(), right.locks.close()])
  })

  it('keeps jobs of different names apart', async () => {
    const time = manualTime(START)
    const { locks } = machine(time, memoryLocks({ clock: time }))
    const ran: string[] = []
    for (const name of ['a', 'b']) locks.cron(name, base, (run) => ran.push(run.name))
    await time.advance(MINUTE)
    expect(ran.toSorted()).toEqual(['a', 'b'])
    await locks.close()
  })

  it('never runs a tick while an earlier one runs, here or elsewhere', async () => {
    const time = manualTime(START + 10_000)
    const backend = memoryLocks({ clock: time })
    const [one, other] = [machine(time, backend), machine(time, backend, { skewMs: -5000 })]
    let running = 0
    const ran: number[] = []
    const work = async ({ tick }: TickRun) => {
      ran.push(tick)
      expect(++running).toBe(1)
      await new Promise<void>((resolve) => time.after(90_000, resolve))
      running--
    }
    for (const { locks } of [one, other]) locks.cron('slow', { ...base, atMostMs: 300_000 }, work)
    await time.advance(5 * MINUTE - 10_000)
    // At 2.5 minutes the tick of minute 2 is still within its grace.
    expect(ran).toEqual([at(1), at(2), at(4)])
    const closing = Promise.all([one.locks.close(), other.locks.close()])
    await time.advance(2 * MINUTE)
    await closing
  })

  it('keeps others away for atLeastMs, also when the process has gone meanwhile', async () => {
    const time = manualTime(START)
    const backend = memoryLocks({ clock: time })
    const first = machine(time, backend)
    const atLeast = { atMostMs: 30_000, atLeastMs: 20_000 }
    await fire(first, { ...atLeast, tick: at(1) }, () => {})
    first.die()
    const second = machine(time, backend)
    const run = () => fire(second, { ...atLeast, tick: at(2) }, () => 'ran')
    await time.advance(19_000)
    expect(await run()).toMatchObject({ outcome: 'busy', retryAfterMs: 1000 })
    await time.advance(1000)
    expect(await run()).toMatchObject({ outcome: 'ran' })
    await time.advance(20_000)
    await second.locks.close()
  })

  it('aborts the signal when the time is up, and lets the next tick run elsewhere', async () => {
    const time = manualTime(START + 10_000)
    const backend = memoryLocks({ clock: time })
    const [stuck, other] = [machine(time, backend), machine(time, backend, { skewMs: -1000 })]
    const ran: string[] = []
    let abortedAfterMs = 0
    stuck.locks.cron('job', base, ({ tick, signal }) => {
      ran.push('stuck')
      signal.addEventListener('abort', () => {
        abortedAfterMs = time.now() - tick
      })
      return new Promise(() => {})
    })
    other.locks.cron('job', base, ({ tick }) => ran.push(`other ${(tick - START) / MINUTE}`))
    await time.advance(2 * MINUTE - 8000)
    expect(abortedAfterMs).toBeGreaterThan(27_800)
    expect(abortedAfterMs).toBeLessThanOrEqual(30_000)
    expect(ran).toEqual(['stuck', 'other 2'])
    expect(typesOf(other)).toEqual(['tick-crashed', 'tick-done'])
    await other.locks.close()
  })
})

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

describe('ticks that were missed', () => {
  async function afterAbsence(options: Partial<CronOptions>) {
    const time = manualTime(START)
    const backend = memoryLocks({ clock: time })
    const before = machine(time, backend)
    const job = before.locks.cron('job', base, () => {})
    await time.advance(MINUTE)
    await job.stop()
    await time.advance(5 * MINUTE + 90_000)
    const after = machine(time, backend)
    const ran: number[] = []
    after.locks.cron('job', { ...base, ...options }, ({ tick }) => ran.push((tick - START) / MINUTE))
    await time.advance(MINUTE)
    await after.locks.close()
    return { ran, after }
  }

  it('are dropped with skip, and only the next one runs', async () => {
    expect((await afterAbsence({ missed: 'skip' })).ran).toEqual([8])
  })

  it('are made up for by the newest with latest', async () => {
    expect((await afterAbsence({ missed: 'latest' })).ran).toEqual([7, 8])
  })

  it('are all run with all, at most maxMissed of them, and the rest is told of', async () => {
    expect((await afterAbsence({ missed: 'all' })).ran).toEqual([2, 3, 4, 5, 6, 7, 8])
    const { ran, after } = await afterAbsence({ missed: 'all', maxMissed: 3 })
    expect(ran).toEqual([5, 6, 7, 8])
    expect(after.events).toContainEqual(expect.objectContaining({ type: 'tick-missed', tick: at(4) }))
  })

  it('are none where another instance has run them while this one was suspended', async () => {
    const time = manualTime(START)
    const backend = memoryLocks({ clock: time })
    const here = machine(time, backend)
    const ran: number[] = []
    here.locks.cron('job', base, ({ tick }) => ran.push(tick))
    await time.advance(MINUTE)
    const other = createLocks(backend, { clock: time, timers: time })
    await fire({ locks: other }, { atMostMs: 1000, tick: at(5) }, () => {})
    time.jump(4 * MINUTE + 59_000)
    await time.advance(500)
    expect(ran).toEqual([at(1)])
    expect(typesOf(here)).toEqual(['tick-done'])
    await here.locks.close()
  })
})

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
  expect(() => locks.cron('job', { atMostMs: 1000, tick: Number.NaN }, () => {})).toThrow(/tick must be/)
  // @ts-expect-error The work is missing.
  expect(() => locks.cron('job', base)).toThrow(/needs a function/)
})

it('refuses a backend that keeps no marks, and says why', () => {
  const backend = memoryLocks()
  const locks = createLocks({ ...backend, capabilities: { ...backend.capabilities, marks: false } })
  expect(() => locks.cron('job', base, () => {})).toThrow(/remembers the last tick/)
})
