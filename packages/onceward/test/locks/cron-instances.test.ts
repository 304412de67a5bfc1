import { describe, expect, it } from 'vitest'
import { createLocks } from '../../src/locks/create-locks.ts'
import type { CronOptions, TickRun } from '../../src/locks/cron-types.ts'
import { memoryLocks } from '../../src/locks/memory/index.ts'
import { manualTime } from '../../src/testing/manual-time.ts'
import { at, base, fire, MINUTE, machine, START, typesOf } from './cron-machines.ts'

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

  it('counts atLeastMs from the beginning of the run, not from that of a lock on a slow server', async () => {
    const time = manualTime(START)
    const backend = memoryLocks({ clock: time })
    const slowly = {
      ...backend,
      mark: async (...given: Parameters<NonNullable<typeof backend.mark>>) => {
        await new Promise<void>((done) => time.after(5000, done))
        return backend.mark?.(...given) ?? false
      },
    }
    const [first, second] = [machine(time, slowly), machine(time, backend)]
    const atLeast = { atMostMs: 60_000, atLeastMs: 20_000 }
    let beganAt = 0
    const run = fire(first, { ...atLeast, tick: at(1) }, () => {
      beganAt = time.now()
    })
    await time.advance(10_000)
    expect(await run).toMatchObject({ outcome: 'ran' })
    expect(beganAt).toBe(START + 5000)
    await time.advance(14_000)
    const early = await fire(second, { ...atLeast, tick: at(2) }, () => 'ran')
    expect(early).toMatchObject({ outcome: 'busy', retryAfterMs: beganAt + 20_000 - time.now() })
    await first.locks.close()
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
