import 'reflect-metadata'
import { Injectable, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { Cron, ScheduleModule } from '@nestjs/schedule'
import nodeCron from 'node-cron'
import { expect, it, vi } from 'vitest'
import { createLocks } from './create-locks.ts'
import type { TickOutcome, TickRun } from './cron-types.ts'
import type { Locks } from './lock-types.ts'
import { memoryLocks } from './memory/memory-locks.ts'
import { OnOneInstance, onOneInstance } from './on-one-instance.ts'

const options = { atMostMs: 5000 }
const START = Date.UTC(2026, 0, 1)

/** Resolves when `ready` holds; every 10 ms it is looked again. */
const until = (ready: () => boolean) =>
  vi.waitFor(() => expect(ready()).toBe(true), { timeout: 10_000, interval: 10 })

it('runs a task of node-cron on one of two instances, at the time that it was scheduled for', async () => {
  const backend = memoryLocks()
  const runs: TickRun[] = []
  const outcomes: string[] = []
  const tasks = Array.from({ length: 2 }, () => {
    const run = onOneInstance(createLocks(backend), 'every-second', options, (tick) => runs.push(tick))
    return nodeCron.schedule('* * * * * *', async (context) => {
      outcomes.push((await run(context)).outcome)
    })
  })
  await until(() => outcomes.length >= 4)
  await Promise.all(tasks.map((task) => task.destroy()))
  const ticks = runs.map(({ tick }) => tick)
  expect(new Set(ticks).size).toBe(ticks.length)
  expect(outcomes.filter((outcome) => outcome === 'ran')).toHaveLength(ticks.length)
  expect(ticks.length).toBeLessThanOrEqual(outcomes.length / 2 + 1)
  for (const tick of ticks) expect(tick % 1000).toBe(0)
})

it('takes instances that fire apart for one tick when it is told the schedule', async () => {
  const backend = memoryLocks()
  const fire = async (at: number, schedule?: string): Promise<TickOutcome<string>> => {
    const clock = { now: () => START + at, monotonic: () => performance.now() }
    const more = schedule === undefined ? {} : { schedule, timezone: 'UTC' }
    return onOneInstance(
      createLocks(backend),
      `job ${schedule}`,
      { ...options, ...more, clock },
      () => 'ran',
    )()
  }
  expect(await fire(3_600_002, '0 * * * *')).toMatchObject({ outcome: 'ran', tick: START + 3_600_000 })
  expect(await fire(3_600_002 + 29_000, '0 * * * *')).toMatchObject({ outcome: 'already' })
  // A timer that fired a little early is no other tick.
  expect(await fire(7_200_000 - 1, '0 * * * *')).toMatchObject({ outcome: 'ran', tick: START + 7_200_000 })
  expect(await fire(5000)).toMatchObject({ outcome: 'ran', tick: START + 5000 })
  expect(await fire(5999 - 50)).toMatchObject({ outcome: 'already' })
})

it('throws what the task throws, for the scheduler to tell of', async () => {
  const failure = new Error('no')
  const task = onOneInstance(createLocks(memoryLocks()), 'job', options, () => {
    throw failure
  })
  await expect(task({ date: new Date(START) })).rejects.toBe(failure)
})

const nestRuns: { by: string; tick: number }[] = []
let nestFired = 0

it.each(['above', 'below'] as const)(
  'runs a method of NestJS on one of two applications, %s @Cron',
  async (where) => {
    nestRuns.length = 0
    nestFired = 0
    const backend = memoryLocks()

    const start = async (by: string) => {
      const own = createLocks(backend)
      const locks = (self: { readonly locks: Locks }): Locks => {
        nestFired++
        return self.locks
      }
      const ours = OnOneInstance<Reports>({ locks, ...options, schedule: '* * * * * *' })
      const theirs = Cron('* * * * * *')

      class Reports {
        readonly locks = own
        everySecond({ tick }: TickRun): void {
          nestRuns.push({ by, tick })
        }
      }
      // As `@Cron` and `@OnOneInstance` written above the method are applied: from the lower to the upper one.
      const descriptor = Object.getOwnPropertyDescriptor(
        Reports.prototype,
        'everySecond',
      ) as PropertyDescriptor
      const [first, second] = where === 'above' ? [theirs, ours] : [ours, theirs]
      first(Reports.prototype, 'everySecond', descriptor)
      second(Reports.prototype, 'everySecond', descriptor)
      Object.defineProperty(Reports.prototype, 'everySecond', descriptor)
      Injectable()(Reports)
      class App {}
      Module({ imports: [ScheduleModule.forRoot()], providers: [Reports] })(App)
      const app = await NestFactory.createApplicationContext(App, { logger: false })
      return app
    }
    const apps = [await start('one'), await start('other')]
    await until(() => nestFired === 2 && new Set(nestRuns.map(({ tick }) => tick)).size >= 2)
    await Promise.all(apps.map((app) => app.close()))
    const ticks = nestRuns.map(({ tick }) => tick)
    expect(new Set(ticks).size).toBe(ticks.length)
  },
)
