/** Creating in transactions of SQLite, which are synchronous. */
import { afterEach, describe, expect, it } from 'vitest'
import { openSqlite, type SqliteHandle } from '../../src/drivers/sqlite/index.ts'
import { createInbox } from '../../src/inbox/index.ts'
import { type Created, createTasks, type NewTask } from '../../src/tasks/index.ts'
import { taskOf } from './tasks-kit.ts'

describe('tasks in a transaction of SQLite', () => {
  const closing: (() => Promise<void> | void)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0)) await close()
  })
  const start = async () => {
    const db = openSqlite(':memory:')
    const tasks = createTasks({ db })
    const inbox = createInbox<SqliteHandle>({ db, consumer: 'billing' })
    closing.push(
      () => tasks.close(),
      () => inbox.close(),
      () => void db.close(),
    )
    await tasks.migrate()
    return { db, tasks, inbox }
  }

  it('creates and refuses at once', async () => {
    const { db, tasks } = await start()
    const order = taskOf({ taskId: 'ship-1' })
    db.exec('BEGIN IMMEDIATE')
    const created = tasks.create(order, { tx: db }) as Created
    expect(created).toMatchObject({ outcome: 'created', task: { taskId: 'ship-1' } })
    expect(tasks.create([order, taskOf()], { tx: db })).toMatchObject([
      { outcome: 'existing', task: { id: created.task.id } },
      { outcome: 'created' },
    ])
    expect(tasks.create([], { tx: db })).toEqual([])
    expect(() => tasks.create(taskOf({ userId: '' }), { tx: db })).toThrow(/userId must be a non-empty/)
    db.exec('COMMIT')
    expect(() => tasks.create(order, { tx: db })).toThrow(/transaction/)
    expect((await tasks.list()).tasks).toHaveLength(2)
  })

  it('rejects, and never throws, where there is no transaction', async () => {
    const { tasks } = await start()
    const refused = tasks.create(taskOf({ userId: '' }))
    await expect(refused).rejects.toThrow(/userId/)
  })

  it('creates one task for a message, in the transaction of the inbox, or neither', async () => {
    const { tasks, inbox } = await start()
    const deliver = (order: NewTask) => inbox.process('m', (tx) => tasks.create(order, { tx }))
    await expect(deliver(taskOf({ actionType: '' }))).rejects.toThrow(/actionType/)
    expect(await deliver(taskOf())).toMatchObject({ outcome: 'processed', value: { outcome: 'created' } })
    expect(await deliver(taskOf())).toEqual({ outcome: 'duplicate' })
    expect((await tasks.list()).tasks).toHaveLength(1)
  })
})
