import { expect, it } from 'vitest'
import { finalFailure, noEffect } from '../../src/core/index.ts'
import { settleTasks } from '../../src/tasks/claim-work.ts'
import type { DatabaseRig } from '../databases/on-each-database.ts'
import { crashedWorker, taskOf, tasksKit, until } from './tasks-kit.ts'

/** The lease outlasts whatever a busy machine may need: where it matters, the test says so. */
const FAST = { leaseMs: 30_000, pollMs: 20, concurrency: 4 }
const SOON = { initialMs: 1, maxMs: 5 }

/** How workers take, do and end tasks. */
export function workerCases(open: () => Promise<DatabaseRig>): void {
  const start = tasksKit(open)

  it('runs a task with its input, and tells its result to whoever waits for it', async () => {
    const { tasks, another } = await start()
    const worker = tasks.worker({
      handlers: { work: async (task) => ({ got: task.input, at: new Date(0), big: 12n }) },
      ...FAST,
    })
    const { task } = await tasks.create(taskOf({ input: { text: 'naïve \u{1F600} \0', when: new Date(5) } }))
    expect(task).toMatchObject({ state: 'pending', attempt: 0, userId: 'u1', actionType: 'work' })
    const waited = await another().result(task.id, { waitMs: 10_000 })
    expect(waited).toEqual({
      outcome: 'done',
      value: { got: { text: 'naïve \u{1F600} \0', when: new Date(5) }, at: new Date(0), big: 12n },
    })
    expect(await tasks.get(task.id)).toMatchObject({ state: 'done', attempt: 1 })
    await worker.stop()
  })

  it('gives each of many tasks to one of several workers, once', async () => {
    const { tasks, another } = await start()
    const ran = new Map<string, number>()
    const handlers = {
      work: async (task: { id: string }) => void ran.set(task.id, (ran.get(task.id) ?? 0) + 1),
    }
    const created = await tasks.create(Array.from({ length: 120 }, () => taskOf()))
    for (let index = 0; index < 4; index++) another().worker({ handlers, ...FAST })
    await until(() => ran.size === 120, 50_000)
    for (const { task } of created)
      expect(await tasks.result(task.id, { waitMs: 10_000 })).toMatchObject({ outcome: 'done' })
    expect([...ran.values()].every((times) => times === 1)).toBe(true)
  }, 60_000)

  it('takes only what it handles, in the order in which tasks are due', async () => {
    const { tasks } = await start()
    const order: unknown[] = []
    await tasks.create(taskOf({ actionType: 'nobody', input: 0 }))
    await tasks.create(taskOf({ input: 2, runAt: 2000 }))
    await tasks.create(taskOf({ input: 1, runAt: 1000 }))
    const later = await tasks.create(taskOf({ input: 3, delayMs: 60_000 }))
    tasks.worker({ handlers: { work: (task) => void order.push(task.input) }, ...FAST, concurrency: 1 })
    await until(() => order.length === 2)
    expect(order).toEqual([1, 2])
    expect(await tasks.get(later.task.id)).toMatchObject({ state: 'pending' })
    expect((await tasks.stats()).unhandled).toEqual(['nobody'])
  })

  it('tries again what throws, and makes a dead letter of it when its attempts are used up', async () => {
    const { tasks } = await start()
    tasks.worker({
      handlers: {
        work: () => {
          throw new Error('poison \0 \ud800')
        },
      },
      ...FAST,
    })
    const { task } = await tasks.create(taskOf({ maxAttempts: 3, backoff: SOON }))
    expect(await tasks.result(task.id, { waitMs: 10_000 })).toMatchObject({
      outcome: 'dead',
      failure: { message: 'poison \ufffd \ufffd', effect: 'unknown' },
    })
    const dead = await tasks.get(task.id)
    expect(dead).toMatchObject({ state: 'dead', attempt: 3, maxAttempts: 3 })
    expect(dead?.history.map(({ event }) => event)).toEqual(['retried', 'retried', 'dead'])
  })

  it('redrives a dead letter with as many attempts as it had, and keeps its history', async () => {
    const { tasks } = await start()
    let broken = true
    const fences: number[] = []
    tasks.worker({
      handlers: {
        work: (_, run) => {
          fences.push(run.fence)
          if (broken) throw new Error('broken')
          return run.attempt
        },
      },
      ...FAST,
    })
    const { task } = await tasks.create(taskOf({ maxAttempts: 2, backoff: SOON }))
    await tasks.result(task.id, { waitMs: 10_000 })
    broken = false
    const redriven = await tasks.redrive(task.id, { reason: 'mended', actor: 'ann' })
    expect(redriven).toMatchObject({ outcome: 'changed', task: { state: 'pending', maxAttempts: 4 } })
    expect(await tasks.result(task.id, { waitMs: 10_000 })).toEqual({ outcome: 'done', value: 3 })
    expect((await tasks.get(task.id))?.history.at(-1)).toMatchObject({
      event: 'redriven',
      note: 'ann: mended',
    })
    expect([...fences].sort((a, b) => a - b)).toEqual(fences)
    expect(await tasks.redrive(task.id, { reason: 'again' })).toEqual({
      outcome: 'not-applicable',
      state: 'done',
    })
  })

  it('stores a final failure at once, and tries again what had no effect', async () => {
    const { tasks } = await start()
    tasks.worker({
      handlers: {
        work: () => {
          throw finalFailure(Object.assign(new Error('no such card'), { code: 'E_CARD' }))
        },
        retry: (_, run) => {
          if (run.attempt === 1) throw noEffect(new Error('not yet'))
          return 'second'
        },
      },
      ...FAST,
    })
    const failing = await tasks.create(taskOf())
    const retried = await tasks.create(taskOf({ actionType: 'retry', onError: 'hold', backoff: SOON }))
    expect(await tasks.result(failing.task.id, { waitMs: 10_000 })).toEqual({
      outcome: 'failed',
      failure: { name: 'Error', message: 'no such card', code: 'E_CARD', effect: 'none' },
    })
    expect(await tasks.result(retried.task.id, { waitMs: 10_000 })).toEqual({
      outcome: 'done',
      value: 'second',
    })
  })

  it('takes whatever is thrown for a failure', async () => {
    const { tasks } = await start()
    const thrown: unknown[] = [
      undefined,
      'text',
      new Proxy(
        {},
        {
          get() {
            throw new Error('not to be looked at')
          },
        },
      ),
    ]
    tasks.worker({
      handlers: {
        work: (task) => {
          throw thrown[task.input as number]
        },
      },
      ...FAST,
    })
    const created = await tasks.create(thrown.map((_, input) => taskOf({ input, maxAttempts: 1 })))
    for (const { task } of created) {
      expect(await tasks.result(task.id, { waitMs: 10_000 })).toMatchObject({ outcome: 'dead' })
    }
  })

  it('holds a task that throws, where it says so', async () => {
    const { tasks } = await start()
    tasks.worker({
      handlers: {
        work: () => {
          throw new Error('timed out')
        },
      },
      ...FAST,
    })
    const { task } = await tasks.create(taskOf({ onError: 'hold' }))
    expect(await tasks.result(task.id, { waitMs: 10_000 })).toMatchObject({
      outcome: 'held',
      failure: { message: 'timed out', effect: 'unknown' },
    })
  })

  it('makes a result that cannot be stored no reason to run the task again', async () => {
    const { tasks } = await start({ maxResultBytes: 100 })
    let runs = 0
    tasks.worker({
      handlers: {
        work: (task) => {
          runs++
          return task.input === 'large' ? 'x'.repeat(200) : () => {}
        },
      },
      ...FAST,
    })
    for (const input of ['large', 'function']) {
      const { task } = await tasks.create(taskOf({ input }))
      const result = await tasks.result(task.id, { waitMs: 10_000 })
      expect(result).toMatchObject({ outcome: 'not-replayable', reason: expect.any(String) })
      expect(await tasks.get(task.id)).toMatchObject({ state: 'done' })
    }
    expect(runs).toBe(2)
  })

  it('holds what a crashed worker was doing, and runs again what may be run again', async () => {
    const { tasks, ledger } = await start()
    const held = await tasks.create(taskOf())
    const again = await tasks.create(taskOf({ onCrash: 'rerun', backoff: SOON }))
    expect(await crashedWorker(ledger)).toHaveLength(2)
    const ran: string[] = []
    tasks.worker({ handlers: { work: (task) => void ran.push(task.id) }, ...FAST })
    expect(await tasks.result(again.task.id, { waitMs: 10_000 })).toEqual({
      outcome: 'done',
      value: undefined,
    })
    expect(await tasks.result(held.task.id, { waitMs: 10_000 })).toMatchObject({
      outcome: 'held',
      failure: { name: 'Lapsed', effect: 'unknown' },
    })
    expect(ran).toEqual([again.task.id])
    expect((await tasks.get(again.task.id))?.history).toMatchObject([{ event: 'lapsed', attempt: 1 }])
  })

  it('makes a dead letter of what kills every worker', async () => {
    const { tasks, ledger } = await start()
    const { task } = await tasks.create(
      taskOf({ onCrash: 'rerun', maxAttempts: 3, backoff: { initialMs: 0 } }),
    )
    for (let attempt = 1; attempt <= 3; attempt++) {
      await until(async () => (await crashedWorker(ledger, 1)).length === 1)
      await until(async () => (await tasks.sweep()) === 1)
    }
    expect(await tasks.get(task.id)).toMatchObject({ state: 'dead', attempt: 3 })
  })

  it('refuses the end of an attempt that has lapsed, and of any other than the latest', async () => {
    const { tasks, ledger } = await start()
    const { task } = await tasks.create(taskOf({ onCrash: 'rerun', backoff: { initialMs: 0 } }))
    const [zombie] = (await crashedWorker(ledger, 1)) as Parameters<typeof settleTasks>[1][number]['record'][]
    await until(async () => (await tasks.sweep()) === 1)
    const finish = async (record: NonNullable<typeof zombie>, result: string) =>
      (await settleTasks(ledger, [{ record, ending: { kind: 'done', result }, now: 1 }])).get(task.id)
    expect(await finish(zombie as NonNullable<typeof zombie>, '"late"')).toBe('lost')
    const [second] = (await crashedWorker(ledger, 60_000)) as NonNullable<typeof zombie>[]
    expect(await finish(zombie as NonNullable<typeof zombie>, '"late"')).toBe('lost')
    expect(await tasks.get(task.id)).toMatchObject({ state: 'running', attempt: 2 })
    expect(
      await finish({ ...(second as NonNullable<typeof zombie>), owner: 'somebody else' }, '"forged"'),
    ).toBe('lost')
    expect(await finish(second as NonNullable<typeof zombie>, '"in time"')).not.toBe('lost')
    // The same end once more, as after a lost answer, changes nothing and is no loss.
    expect(await finish(second as NonNullable<typeof zombie>, '"in time"')).not.toBe('lost')
    expect(await tasks.result(task.id)).toEqual({ outcome: 'done', value: 'in time' })
  })

  it('tells a zombie loudly: its signal aborts, its heartbeat throws, and it is counted', async () => {
    const { tasks, rig } = await start()
    let lostWith: unknown
    let thrown: unknown
    tasks.worker({
      handlers: {
        work: async (_, run) => {
          await rig.sql("UPDATE onceward_tasks SET owner = 'another', attempt = 2")
          thrown = await run.heartbeat().catch((error: unknown) => error)
          lostWith = run.signal.reason
          return 'from the grave'
        },
      },
      ...FAST,
    })
    const { task } = await tasks.create(taskOf())
    await until(async () => (await tasks.stats()).seen.lost === 1)
    expect(lostWith).toMatchObject({ code: 'CLAIM_LOST' })
    expect(thrown).toMatchObject({ code: 'CLAIM_LOST' })
    expect(await tasks.get(task.id)).toMatchObject({ attempt: 2 })
    expect((await tasks.result(task.id)).outcome).not.toBe('done')
  })

  it('keeps the lease of work that takes longer than it', async () => {
    const { tasks, another } = await start()
    const leaseMs = 3600
    another().worker({ handlers: { other: () => {} }, ...FAST, leaseMs })
    let finish = () => {}
    let runs = 0
    tasks.worker({
      handlers: {
        work: () => {
          runs++
          return new Promise<string>((resolve) => {
            finish = () => resolve('slow')
          })
        },
      },
      ...FAST,
      leaseMs,
    })
    const { task } = await tasks.create(taskOf())
    const first = await until(async () => (await tasks.get(task.id))?.leaseUntil)
    await until(async () => ((await tasks.get(task.id))?.leaseUntil ?? 0) > first + 2000)
    finish()
    expect(await tasks.result(task.id, { waitMs: 10_000 })).toEqual({ outcome: 'done', value: 'slow' })
    expect(runs).toBe(1)
  })
}
