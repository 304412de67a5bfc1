import { expect, it } from 'vitest'
import type { NewTask, TaskState } from '../../src/tasks/index.ts'
import type { DatabaseRig } from '../databases/on-each-database.ts'
import { crashedWorker, taskOf, tasksKit } from './tasks-kit.ts'

const NAMED = { taskId: 'order-1' }

/** Which tasks come to be. */
export function createCases(open: () => Promise<DatabaseRig>): void {
  const start = tasksKit(open)

  it('creates many in one call, and answers in their order', async () => {
    const { tasks } = await start()
    const orders = Array.from({ length: 1500 }, (_, index) => taskOf({ input: index }))
    const created = await tasks.create(orders)
    expect(created.map(({ outcome, task }) => [outcome, task.input])).toEqual(
      orders.map(({ input }) => ['created', input]),
    )
    expect(new Set(created.map(({ task }) => task.id)).size).toBe(1500)
    // Ids are in the order of creation.
    expect(created.map(({ task }) => task.id)).toEqual(created.map(({ task }) => task.id).sort())
    expect((await tasks.stats()).counts).toMatchObject([
      { actionType: 'work', state: 'pending', count: 1500 },
    ])
    expect(await tasks.create([])).toEqual([])
  })

  it('makes random ids where they are asked for', async () => {
    const { tasks } = await start({ ids: 'v4' })
    const { task } = await tasks.create(taskOf())
    expect(task.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(await tasks.get(task.id)).toEqual(task)
  })

  it('creates one task for an external id, of all who race for it from two instances', async () => {
    const { tasks, another } = await start()
    const other = another()
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        (index % 2 ? tasks : other).create(taskOf({ ...NAMED, input: index })),
      ),
    )
    expect(replies.filter(({ outcome }) => outcome === 'created')).toHaveLength(1)
    expect(replies.filter(({ outcome }) => outcome === 'existing')).toHaveLength(49)
    expect(new Set(replies.map(({ task }) => task.id)).size).toBe(1)
  })

  it('creates each of many external ids once, however batches overlap', async () => {
    const { tasks, another } = await start()
    const other = another()
    const batch = (from: number) =>
      Array.from({ length: 40 }, (_, index) => taskOf({ taskId: `t${(from + index * 7) % 60}` }))
    const replies = (
      await Promise.all([0, 13, 27, 41].map((from, index) => (index % 2 ? tasks : other).create(batch(from))))
    ).flat()
    const created = replies.filter(({ outcome }) => outcome === 'created').map(({ task }) => task.taskId)
    expect(new Set(created).size).toBe(created.length)
    expect((await tasks.stats()).counts).toMatchObject([{ count: created.length }])
  })

  it('tells an external id apart by its user and its action, byte by byte', async () => {
    const { tasks } = await start()
    const others: NewTask[] = [
      taskOf(NAMED),
      taskOf({ ...NAMED, userId: 'u2' }),
      taskOf({ ...NAMED, actionType: 'other' }),
      taskOf({ taskId: 'Order-1' }),
      taskOf({ taskId: 'order-1 ' }),
      taskOf({ taskId: "order-1'; DROP TABLE onceward_tasks; --" }),
      taskOf({ taskId: '__proto__' }),
      taskOf({ taskId: 'naïve \u{1F600}' }),
    ]
    expect((await tasks.create(others)).map(({ outcome }) => outcome)).toEqual(others.map(() => 'created'))
    expect((await tasks.create(others)).map(({ outcome }) => outcome)).toEqual(others.map(() => 'existing'))
    const found = await tasks.find({ taskId: 'naïve \u{1F600}', userId: 'u1', actionType: 'work' })
    expect(found).toMatchObject({ taskId: 'naïve \u{1F600}', replaced: false })
    expect(await tasks.find({ taskId: 'nobody', userId: 'u1', actionType: 'work' })).toBeUndefined()
  })

  it('meets the first of an external id with the second of the same call', async () => {
    const { tasks } = await start()
    const replies = await tasks.create([
      taskOf(NAMED),
      taskOf(NAMED),
      taskOf({ ...NAMED, ifUnfinished: 'reject' }),
    ])
    expect(replies.map(({ outcome }) => outcome)).toEqual(['created', 'existing', 'rejected'])
    expect(new Set(replies.map(({ task }) => task.id)).size).toBe(1)
  })

  it('decides by both policies in every state', async () => {
    const { tasks, rig } = await start()
    const expected: Record<string, Partial<Record<TaskState, string>>> = {
      'use-existing': { pending: 'existing', running: 'existing', held: 'existing' },
      reject: { pending: 'rejected', running: 'rejected', held: 'rejected' },
      // What may have had its effect and may not be run twice is not followed by another.
      replace: { pending: 'created', running: 'rejected', held: 'rejected' },
      finished: { done: 'rejected', failed: 'rejected', dead: 'rejected', cancelled: 'rejected' },
      'allow-after-failure': { done: 'rejected', failed: 'created', dead: 'created', cancelled: 'created' },
      allow: { done: 'created', failed: 'created', dead: 'created', cancelled: 'created' },
    }
    for (const [policy, states] of Object.entries(expected)) {
      const policies = {
        ...(policy.startsWith('allow') ? { ifFinished: policy } : {}),
        ...(['use-existing', 'reject', 'replace'].includes(policy) ? { ifUnfinished: policy } : {}),
      } as Partial<NewTask>
      for (const [state, outcome] of Object.entries(states)) {
        const named = taskOf({ taskId: `${policy} ${state}` })
        const { task } = await tasks.create(named)
        const finished = ['pending', 'running', 'held'].includes(state) ? 'NULL' : '1'
        await rig.sql(
          `UPDATE onceward_tasks SET state = '${state}', finished_at = ${finished} WHERE id = '${task.id}'`,
        )
        const reply = await tasks.create({ ...named, ...policies, input: 'new' })
        expect([policy, state, reply.outcome]).toEqual([policy, state, outcome])
        if (outcome === 'created') {
          expect(reply.task.id).not.toBe(task.id)
          const old = await tasks.get(task.id)
          expect(old).toMatchObject({
            replaced: true,
            taskId: named.taskId,
            state: state === 'pending' ? 'cancelled' : state,
          })
          expect(await tasks.find({ ...named, taskId: named.taskId as string })).toMatchObject({
            input: 'new',
          })
        } else expect(reply.task.id).toBe(task.id)
      }
    }
  })

  it('replaces what is running and may be rerun: the old attempt cannot end its task any more', async () => {
    const { tasks, ledger } = await start()
    const { task } = await tasks.create(taskOf({ ...NAMED, onCrash: 'rerun' }))
    await crashedWorker(ledger, 60_000)
    const next = await tasks.create(taskOf({ ...NAMED, ifUnfinished: 'replace' }))
    expect(next.outcome).toBe('created')
    expect(await tasks.result(task.id)).toMatchObject({ outcome: 'cancelled' })
  })

  it('replaces once, of all who race to', async () => {
    const { tasks, another } = await start()
    const other = another()
    await tasks.create(taskOf(NAMED))
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        (index % 2 ? tasks : other).create(taskOf({ ...NAMED, ifUnfinished: 'replace', input: index })),
      ),
    )
    expect(replies.every(({ outcome }) => outcome === 'created')).toBe(true)
    const { tasks: pending } = await tasks.list({ state: 'pending' })
    expect(pending).toHaveLength(1)
    expect((await tasks.list({ state: 'cancelled' })).tasks).toHaveLength(20)
  })

  it("creates in the caller's transaction: with its commit, and not without", async () => {
    const { tasks, rig } = await start()
    await rig.sql('CREATE TABLE orders (id INTEGER PRIMARY KEY)')
    const place = (id: number) =>
      rig.transact(async ({ handle, sql }) => {
        await sql(`INSERT INTO orders (id) VALUES (${id})`)
        const created = await tasks.create([taskOf({ taskId: `ship-${id}` }), taskOf({ input: id })], {
          tx: handle,
        })
        if (id < 0) throw new Error('never mind')
        return created
      })
    const [shipped] = await place(1)
    await expect(place(-1)).rejects.toThrow('never mind')
    expect((await place(2)).map(({ outcome }) => outcome)).toEqual(['created', 'created'])
    expect(await tasks.get(shipped?.task.id as string)).toEqual(shipped?.task)
    expect((await tasks.stats()).counts).toMatchObject([{ count: 4 }])
    const again = await rig.transact(({ handle }) =>
      tasks.create(taskOf({ taskId: 'ship-1' }), { tx: handle }),
    )
    expect(again).toMatchObject({ outcome: 'existing', task: { id: shipped?.task.id } })
    await expect(async () => tasks.create(taskOf(), { tx: rig.open() as object })).rejects.toThrow(TypeError)
  })

  it('refuses what makes no sense before anything is written, and says how to mend it', async () => {
    const { tasks } = await start({ maxInputBytes: 100 })
    const wrong: [Partial<NewTask>, RegExp][] = [
      [{ userId: '' }, /userId must be a non-empty string/],
      [{ actionType: 5 as unknown as string }, /actionType/],
      [{ taskId: 'x'.repeat(256) }, /taskId has 256 bytes, the most is 255; derive/],
      [{ taskId: 'a\0b' }, /NUL/],
      [{ taskId: '\ud800' }, /surrogate/],
      [{ input: 'x'.repeat(200) }, /the input has 202 bytes, the most is 100; .*maxInputBytes/],
      [{ input: () => {} }, /the input cannot be stored/],
      [{ runAt: Number.NaN }, /runAt/],
      [{ runAt: 5, delayMs: 5 }, /not both/],
      [{ delayMs: -1 }, /delayMs/],
      [{ maxAttempts: 0 }, /maxAttempts/],
      [{ onCrash: 'retry' as 'rerun' }, /onCrash must be one of hold, rerun/],
      [{ ifUnfinished: 'replaces' as 'replace' }, /ifUnfinished/],
      [{ backoff: { factor: 0 } }, /backoff.factor/],
      [{ prioriti: 1 } as Partial<NewTask>, /unknown field "prioriti"/],
    ]
    for (const [fields, message] of wrong) {
      await expect(tasks.create([taskOf(), taskOf(fields)])).rejects.toThrow(message)
      await expect(tasks.create(taskOf(fields))).rejects.toThrow(TypeError)
    }
    expect((await tasks.stats()).counts).toEqual([])
  })
}
