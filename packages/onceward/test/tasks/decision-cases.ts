import { expect, it } from 'vitest'
import type { DatabaseRig } from '../databases/on-each-database.ts'
import { crashedWorker, gate, taskOf, tasksKit, until } from './tasks-kit.ts'

/** The lease outlasts whatever a busy machine may need: where it matters, the test says so. */
const FAST = { leaseMs: 30_000, pollMs: 20, concurrency: 4 }

/** Cancelling, resolving, waiting, listing and forgetting. */
export function decisionCases(open: () => Promise<DatabaseRig>): void {
  const start = tasksKit(open)

  const heldTask = async (kit: Awaited<ReturnType<typeof start>>) => {
    const { task } = await kit.tasks.create(taskOf())
    await crashedWorker(kit.ledger, 1)
    await until(async () => (await kit.tasks.sweep()) === 1)
    return task.id
  }

  it('cancels a pending task, once', async () => {
    const { tasks } = await start()
    const { task } = await tasks.create(taskOf())
    expect(await tasks.cancel(task.id, { reason: 'not needed', actor: 'ann' })).toEqual({
      outcome: 'cancelled',
    })
    expect(await tasks.result(task.id)).toEqual({ outcome: 'cancelled', reason: 'ann: not needed' })
    expect(await tasks.cancel(task.id)).toEqual({ outcome: 'too-late', state: 'cancelled' })
    expect(await tasks.cancel('01a2001a-5efb-7000-b136-44a8f732f74c')).toEqual({ outcome: 'unknown' })
    expect(await tasks.cancel("' OR 1=1")).toEqual({ outcome: 'unknown' })
  })

  it('tells the worker of a running task, in another instance, that it is to be cancelled', async () => {
    const { tasks, another } = await start()
    let reason: unknown
    another().worker({
      handlers: {
        work: (_, { signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              reason = signal.reason
              reject(signal.reason)
            })
          }),
      },
      ...FAST,
      // Where the database tells nobody, it is heard of at a heartbeat.
      leaseMs: 4000,
    })
    const { task } = await tasks.create(taskOf())
    await until(async () => (await tasks.get(task.id))?.state === 'running')
    expect(await tasks.cancel(task.id, { reason: 'enough' })).toEqual({ outcome: 'asked' })
    expect(await tasks.result(task.id, { waitMs: 10_000 })).toEqual({
      outcome: 'cancelled',
      reason: 'enough',
    })
    expect(reason).toMatchObject({ code: 'ABORTED', effect: 'unknown' })
    const events = (await tasks.get(task.id))?.history.map(({ event }) => event)
    expect(events).toEqual(['cancel-asked', 'cancelled'])
  })

  it('lets a task that is to be cancelled end as done, when its work has been done', async () => {
    const { tasks } = await start()
    const finish = gate()
    tasks.worker({
      handlers: { work: () => finish.passed },
      ...FAST,
    })
    const { task } = await tasks.create(taskOf())
    await until(async () => (await tasks.get(task.id))?.state === 'running')
    expect(await tasks.cancel(task.id)).toEqual({ outcome: 'asked' })
    finish.open()
    expect(await tasks.result(task.id, { waitMs: 10_000 })).toEqual({ outcome: 'done', value: undefined })
  })

  it('resolves a held task as done, failed or not begun, and keeps who did and why', async () => {
    const kit = await start()
    const { tasks } = kit
    const ids = [await heldTask(kit), await heldTask(kit), await heldTask(kit)] as const
    const audit = { reason: 'seen in the books', actor: 'ann' }
    expect(
      await tasks.resolve(ids[0], { as: 'done', value: new Map([['paid', 7n]]), ...audit }),
    ).toMatchObject({
      outcome: 'changed',
      task: { state: 'done' },
    })
    expect(await tasks.result(ids[0])).toEqual({ outcome: 'done', value: new Map([['paid', 7n]]) })
    await tasks.resolve(ids[1], { as: 'failed', ...audit })
    expect(await tasks.result(ids[1])).toMatchObject({ outcome: 'failed' })
    await tasks.resolve(ids[2], { as: 'release', ...audit })
    expect(await tasks.get(ids[2])).toMatchObject({ state: 'pending' })
    for (const [index, id] of ids.entries()) {
      const entry = (await tasks.get(id))?.history.at(-1)
      const as = ['done', 'failed', 'release'][index]
      expect(entry).toMatchObject({ event: 'resolved', note: `${as}: ann: seen in the books` })
    }
    expect(await tasks.resolve(ids[0], { as: 'failed', reason: 'late' })).toEqual({
      outcome: 'not-applicable',
      state: 'done',
    })
    await expect(tasks.resolve(ids[2], { as: 'failed', reason: ' ' })).rejects.toThrow(/reason must be/)
  })

  it('lets one of many who resolve at the same time decide', async () => {
    const kit = await start()
    const id = await heldTask(kit)
    const other = kit.another()
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        (index % 2 ? kit.tasks : other).resolve(id, { as: 'done', value: index, reason: 'race' }),
      ),
    )
    expect(replies.filter(({ outcome }) => outcome === 'changed')).toHaveLength(1)
    expect((await kit.tasks.get(id))?.history.filter(({ event }) => event === 'resolved')).toHaveLength(1)
  })

  it('waits for a result no longer than it may, and no longer than the caller does', async () => {
    const { tasks } = await start()
    const { task } = await tasks.create(taskOf())
    expect(await tasks.result(task.id)).toEqual({ outcome: 'unfinished', state: 'pending' })
    expect(await tasks.result(task.id, { waitMs: 30 })).toEqual({ outcome: 'unfinished', state: 'pending' })
    const stop = new AbortController()
    const waiting = tasks.result(task.id, { waitMs: 60_000, signal: stop.signal })
    setImmediate(() => stop.abort())
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED', effect: 'none' })
    expect(await tasks.result('nonsense', { waitMs: 60_000 })).toEqual({ outcome: 'unknown' })
  })

  it('lists by state, user and action, page by page', async () => {
    const { tasks } = await start()
    const created = await tasks.create([
      ...Array.from({ length: 7 }, () => taskOf()),
      taskOf({ userId: 'u2' }),
      taskOf({ actionType: 'other' }),
    ])
    await tasks.cancel(created[0]?.task.id as string)
    const ids: string[] = []
    let after: string | undefined
    do {
      const page = await tasks.list({ limit: 2, ...(after === undefined ? {} : { after }) })
      ids.push(...page.tasks.map(({ id }) => id))
      after = page.after
    } while (after !== undefined)
    expect(ids).toEqual(created.map(({ task }) => task.id).reverse())
    const count = async (query: Parameters<typeof tasks.list>[0]) => (await tasks.list(query)).tasks.length
    expect(await count({ userId: 'u2' })).toBe(1)
    expect(await count({ actionType: 'other' })).toBe(1)
    expect(await count({ state: 'pending', userId: 'u1', actionType: 'work' })).toBe(6)
    expect(await count({ state: 'cancelled' })).toBe(1)
    expect(await count({ state: 'held' })).toBe(0)
    await expect(tasks.list({ limit: 0 })).rejects.toThrow(TypeError)
    await expect(tasks.list({ after: 'x' })).rejects.toThrow(/after/)
  })

  it('forgets what has ended, state by state, in bounded batches, and never what has not', async () => {
    const { tasks, rig, another } = await start()
    const created = await tasks.create(Array.from({ length: 8 }, () => taskOf()))
    const states = ['done', 'done', 'done', 'failed', 'dead', 'cancelled', 'held', 'pending']
    for (const [index, { task }] of created.entries()) {
      const state = states[index]
      const finished = state === 'held' || state === 'pending' ? 'NULL' : '1'
      await rig.sql(
        `UPDATE onceward_tasks SET state = '${state}', finished_at = ${finished} WHERE id = '${task.id}'`,
      )
    }
    expect(await tasks.purge(2)).toBe(2)
    expect(await tasks.purge()).toBe(3)
    const left = (await tasks.list()).tasks.map(({ state }) => state)
    expect([...left].sort()).toEqual(['dead', 'held', 'pending'])
    expect(await another({ retention: { deadMs: 0 } }).purge()).toBe(1)
  })

  it('stops gracefully: what runs is finished, what has not begun is left to others', async () => {
    const { tasks } = await start()
    const finish = gate()
    const worker = tasks.worker({
      handlers: { work: () => finish.passed },
      ...FAST,
      concurrency: 1,
    })
    const [first, second] = await tasks.create([taskOf(), taskOf()])
    await until(() => worker.active === 1)
    const stopping = worker.stop()
    finish.open()
    await stopping
    expect(await tasks.get(first?.task.id as string)).toMatchObject({ state: 'done' })
    expect(await tasks.get(second?.task.id as string)).toMatchObject({ state: 'pending', attempt: 0 })
  })

  it('aborts what has not ended when its grace is over', async () => {
    const { tasks } = await start()
    const worker = tasks.worker({
      handlers: {
        work: (_, { signal }) =>
          new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      },
      ...FAST,
    })
    const { task } = await tasks.create(taskOf({ backoff: { initialMs: 60_000 } }))
    await until(() => worker.active === 1)
    await worker.stop({ graceMs: 0 })
    // It waits for a second; on a slow server the end of the attempt is on its way still.
    await until(async () => (await tasks.get(task.id))?.state !== 'running')
    expect(await tasks.get(task.id)).toMatchObject({ state: 'pending', failure: { effect: 'unknown' } })
  })

  it('finds tasks that nobody handles, that are held, and that are dead', async () => {
    const kit = await start()
    await heldTask(kit)
    await kit.tasks.create(taskOf({ actionType: 'nobody', runAt: 1 }))
    const findings = await kit.tasks.doctor()
    expect(findings.map(({ level, check }) => `${level} ${check}`)).toEqual(
      expect.arrayContaining(['ok schema', 'warn held', 'warn pending']),
    )
    expect((await kit.tasks.stats()).unhandled).toEqual(['nobody'])
  })
}
