import { expect, it } from 'vitest'
import { settleTasks } from '../../src/tasks/claim-work.ts'
import type { TaskRecord } from '../../src/tasks/task-record.ts'
import type { Ending } from '../../src/tasks/task-transitions.ts'
import type { DatabaseRig } from '../databases/on-each-database.ts'
import { crashedWorker, gate, taskOf, tasksKit, until } from './tasks-kit.ts'

/** The lease outlasts whatever a busy machine may need: where it matters, the test says so. */
const FAST = { leaseMs: 30_000, pollMs: 20, concurrency: 4 }

/** What comes at a bad moment. */
export function hostileCases(open: () => Promise<DatabaseRig>): void {
  const start = tasksKit(open)

  it('creates the task as it was when create was called, whatever becomes of the object meanwhile', async () => {
    const { tasks } = await start()
    const reused = { userId: 'u1', actionType: 'work', taskId: '', input: 0, backoff: { initialMs: 5 } }
    const creating = [1, 2, 3].map((number) => {
      reused.taskId = `t${number}`
      reused.input = number
      return tasks.create(reused)
    })
    reused.userId = 'u'.repeat(300)
    reused.backoff.initialMs = Number.NaN
    const created = await Promise.all(creating)
    expect(created.map(({ outcome, task }) => [outcome, task.taskId, task.userId, task.input])).toEqual([
      ['created', 't1', 'u1', 1],
      ['created', 't2', 'u1', 2],
      ['created', 't3', 'u1', 3],
    ])
  })

  it('cancels a task whose last attempt throws after somebody asked for it, and keeps who did', async () => {
    const { tasks, another } = await start()
    const fail = gate()
    another().worker({
      handlers: {
        work: async () => {
          await fail.passed
          throw new Error('not now')
        },
      },
      // No heartbeat tells the worker before it ends.
      ...FAST,
    })
    const { task } = await tasks.create(taskOf({ maxAttempts: 1 }))
    await until(async () => (await tasks.get(task.id))?.state === 'running')
    expect(await tasks.cancel(task.id, { reason: 'enough', actor: 'ann' })).toEqual({ outcome: 'asked' })
    fail.open()
    expect(await tasks.result(task.id, { waitMs: 10_000 })).toEqual({
      outcome: 'cancelled',
      reason: 'ann: enough',
    })
    const events = (await tasks.get(task.id))?.history.map(({ event, note }) => `${event} ${note}`)
    expect(events).toEqual(['cancel-asked ann: enough', 'cancelled ann: enough'])
  })

  it('keeps in the history who asked to cancel, however the attempt ends', async () => {
    const { tasks, ledger } = await start()
    const failure = { name: 'Error', message: 'no', effect: 'unknown' } as const
    const endings: readonly Ending[] = [
      { kind: 'done', result: '1' },
      { kind: 'not-replayable', reason: 'large' },
      { kind: 'failed', failure },
      { kind: 'hold', failure },
      { kind: 'thrown', failure, delayMs: 0 },
      { kind: 'released' },
    ]
    await tasks.create(endings.map(() => taskOf()))
    const records = (await crashedWorker(ledger, 60_000)) as readonly TaskRecord[]
    for (const { id } of records) await tasks.cancel(id, { reason: 'enough', actor: 'ann' })
    await settleTasks(
      ledger,
      endings.map((ending, at) => ({ record: records[at] as TaskRecord, ending, now: 1 })),
    )
    for (const { id } of records) {
      const { history } = (await tasks.get(id)) as { history: readonly unknown[] }
      expect(history[0]).toMatchObject({ event: 'cancel-asked', note: 'ann: enough' })
    }
  })

  it('does not redrive a failed task whose place another has taken', async () => {
    const { tasks, ledger } = await start()
    const order = taskOf({ taskId: 'once', maxAttempts: 1, onCrash: 'rerun' })
    const { task: first } = await tasks.create(order)
    await crashedWorker(ledger, 1)
    await until(async () => (await tasks.sweep()) === 1)
    expect(await tasks.get(first.id)).toMatchObject({ state: 'dead' })
    const second = await tasks.create({ ...order, ifFinished: 'allow-after-failure' })
    expect(second.outcome).toBe('created')
    expect(await tasks.redrive(first.id, { reason: 'all dead letters' })).toEqual({
      outcome: 'not-applicable',
      state: 'dead',
    })
  })

  it('lets one of those win who redrive a dead task and those who take its place, and runs one', async () => {
    const { tasks, another, ledger } = await start()
    const other = another()
    for (let round = 0; round < 5; round++) {
      const order = taskOf({ taskId: `once-${round}`, maxAttempts: 1, onCrash: 'rerun' })
      const { task: first } = await tasks.create(order)
      await crashedWorker(ledger, 1)
      await until(async () => (await tasks.sweep()) === 1)
      const [redriven, created] = await Promise.all([
        tasks.redrive(first.id, { reason: 'mended' }),
        other.create({ ...order, ifFinished: 'allow-after-failure' }),
      ])
      expect([redriven.outcome, created.outcome].sort()).toEqual(
        redriven.outcome === 'changed' ? ['changed', 'existing'] : ['created', 'not-applicable'],
      )
      const { tasks: pending } = await tasks.list({ state: 'pending' })
      expect(pending).toHaveLength(1)
      await tasks.cancel(pending[0]?.id as string)
    }
  })
}
