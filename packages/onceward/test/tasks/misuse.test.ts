import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { systemRandom } from '../../src/core/system.ts'
import type { SqlDatabase } from '../../src/drivers/database/index.ts'
import { driveSync } from '../../src/drivers/database/sql-work.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'
import { createTasks, type TasksOptions, type WorkerOptions } from '../../src/tasks/index.ts'
import { wantedTask } from '../../src/tasks/new-task.ts'
import { createWork, retryDelayMs, taskLedger } from '../../src/tasks/task-ledger.ts'
import { taskOf, until } from './tasks-kit.ts'

describe('tasks that are used wrongly', () => {
  const folder = mkdtempSync(join(tmpdir(), 'onceward-tasks-'))
  const closing: (() => Promise<void>)[] = []
  const made = (options: Partial<TasksOptions> = {}) => {
    const tasks = createTasks({ db: join(folder, `${closing.length}.sqlite`), ...options })
    closing.push(() => tasks.close())
    return tasks
  }
  afterEach(async () => {
    for (const close of closing.splice(0)) await close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('refuses options that make no sense, at once', () => {
    const wrong: [object, RegExp][] = [
      [{ db: '' }, /empty path/],
      [{ db: 'postgres://u:secret@h/d' }, /was given a URL/],
      [{ db: ':memory:', ids: 'v1' }, /ids must be one of v7, v4/],
      [{ db: ':memory:', retention: { doneMs: -1 } }, /retention.doneMs/],
      [{ db: ':memory:', retention: { doneDays: 1 } }, /unknown field "doneDays"/],
      [{ db: ':memory:', maxInputBytes: 2 ** 30 }, /maxInputBytes/],
      [{ db: ':memory:', observe: () => {} }, /unknown field "observe"/],
    ]
    for (const [options, message] of wrong)
      expect(() => createTasks(options as TasksOptions)).toThrow(message)
  })

  it('refuses workers that make no sense, at once', () => {
    const tasks = made({ db: ':memory:' })
    const handlers = { work: () => {} }
    const wrong: [object, RegExp][] = [
      [{}, /handlers must be an object/],
      [{ handlers: {} }, /needs a handler/],
      [{ handlers: { work: 5 } }, /the handler of "work" must be a function, not 5/],
      [{ handlers, types: ['other'] }, /"other", which has no handler/],
      [{ handlers, concurrency: 0 }, /concurrency/],
      [{ handlers, batchSize: 5000 }, /batchSize/],
      [{ handlers, leaseMs: 1 }, /leaseMs must be a number of at least 100/],
      [{ handlers, leaseMs: 1e300 }, /leaseMs must be a whole number from 100 to/],
      [{ handlers, lease: 1 }, /unknown field "lease"/],
    ]
    for (const [options, message] of wrong)
      expect(() => tasks.worker(options as WorkerOptions)).toThrow(message)
  })

  it('refuses a transaction that is given in the wrong place, which would be left out', async () => {
    const tasks = made({ db: ':memory:' })
    const client = { query() {}, release() {} }
    for (const options of [client, { transaction: client }])
      await expect(tasks.create(taskOf(), options as never)).rejects.toThrow(/the options of create .*tx/)
    await expect(tasks.create(taskOf(), (() => {}) as never)).rejects.toThrow(/the options of create/)
    expect(await tasks.create(taskOf(), {})).toMatchObject({ outcome: 'created' })
  })

  it('refuses a grace that is no time, and stops when it is asked again', async () => {
    const tasks = made({ db: ':memory:' })
    const worker = tasks.worker({ handlers: { work: () => {} } })
    for (const graceMs of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
      await expect(worker.stop({ graceMs })).rejects.toThrow(/graceMs must be a number of at least 0/)
    }
    await worker.stop()
  })

  it('says that the schema is missing, and lets a worker go on once it is there', async () => {
    const handle = openSqlite(':memory:')
    const troubles: unknown[] = []
    const tasks = made({ db: handle, observer: ({ error }) => void (error && troubles.push(error)) })
    await expect(tasks.create(taskOf())).rejects.toMatchObject({ code: 'SCHEMA_MISSING', effect: 'none' })
    expect(await tasks.doctor()).toMatchObject([{ level: 'fail', check: 'schema' }])
    tasks.worker({ handlers: { work: () => 'done' }, pollMs: 5 })
    await until(() => troubles.length > 0)
    expect(troubles[0]).toMatchObject({ code: 'SCHEMA_MISSING' })
    expect(await tasks.migrate()).toContain('0003-tasks')
    const { task } = await tasks.create(taskOf())
    expect(await tasks.result(task.id, { waitMs: 10_000 })).toEqual({ outcome: 'done', value: 'done' })
  })

  it('refuses calls after it was closed, and closes twice without complaint', async () => {
    const tasks = made({ db: ':memory:' })
    await tasks.migrate()
    await tasks.close()
    await tasks.close()
    await expect(tasks.create(taskOf())).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('tells of a row that nobody wrote, and does not take it for a task', async () => {
    const handle = openSqlite(':memory:')
    const tasks = made({ db: handle })
    await tasks.migrate()
    const { task } = await tasks.create(taskOf({ input: 1 }))
    handle.exec(`UPDATE onceward_tasks SET history = 'no list'`)
    await expect(tasks.get(task.id)).rejects.toMatchObject({ code: 'STORE_CORRUPT', effect: 'unknown' })
    handle.exec(`UPDATE onceward_tasks SET history = '[]', input = '{'`)
    await expect(tasks.get(task.id)).rejects.toMatchObject({ code: 'RECORD_CORRUPT' })
  })

  it('passes over a row that cannot be read, and does the others', async () => {
    const handle = openSqlite(':memory:')
    const troubles: unknown[] = []
    const tasks = made({ db: handle, observer: ({ error }) => void (error && troubles.push(error)) })
    await tasks.migrate()
    const [broken, lapsed, good] = await tasks.create([taskOf(), taskOf(), taskOf()])
    handle.exec(`UPDATE onceward_tasks SET history = 'no list' WHERE id = '${broken?.task.id}'`)
    handle.exec(
      `UPDATE onceward_tasks SET state = 'running' WHERE id IN ('${broken?.task.id}', '${lapsed?.task.id}')`,
    )
    tasks.worker({ handlers: { work: () => 1 }, pollMs: 5, leaseMs: 4000 })
    expect(await tasks.result(good?.task.id as string, { waitMs: 10_000 })).toEqual({
      outcome: 'done',
      value: 1,
    })
    expect(await tasks.result(lapsed?.task.id as string, { waitMs: 10_000 })).toMatchObject({
      outcome: 'held',
    })
    expect(troubles[0]).toMatchObject({ code: 'STORE_CORRUPT' })
  })

  it('drops what an observer throws, or rejects with', async () => {
    const faults = [
      () => {
        throw new Error('mine')
      },
      () => Promise.reject(new Error('mine')),
    ]
    for (const observer of faults) {
      const tasks = made({ db: ':memory:', observer })
      await tasks.migrate()
      tasks.worker({ handlers: { work: () => 1 }, pollMs: 5 })
      const { task } = await tasks.create(taskOf())
      expect(await tasks.result(task.id, { waitMs: 10_000 })).toEqual({ outcome: 'done', value: 1 })
    }
  })

  it('gives a task its turn among many who replace the one of the same external id', () => {
    const database = { dialect: 'sqlite', where: 'a test', table: (name: string) => name } as const
    const ledger = taskLedger(database as unknown as SqlDatabase, systemRandom)
    const wanted = wantedTask(taskOf({ taskId: 'once', ifUnfinished: 'replace' }), 'id', 1000)
    let tries = 0
    // Each time somebody has it already, and has lost it to somebody else when it is looked at.
    const [created] = driveSync(createWork(ledger, [wanted]), ({ statement }) => {
      const isFree = statement === ledger.changes.insert && ++tries > 40
      return { rows: isFree ? [{ id: 'id', created: 1 }] : [], affected: 0 }
    })
    expect(created).toMatchObject({ outcome: 'created', task: { id: 'id' } })
  })

  it('waits a number of ms whatever the policy and the attempts', () => {
    const policies = [
      { initialMs: 0, factor: 1000 },
      { initialMs: 0, factor: 1, maxMs: 0 },
      { initialMs: 8.64e15, maxMs: 8.64e15, factor: 1000 },
      { initialMs: 0.001, factor: 1000 },
    ]
    for (const policy of policies) {
      for (const attempts of [1, 2, 104, 1025, 1_000_000]) {
        const pauseMs = retryDelayMs(policy, attempts, systemRandom)
        expect(Number.isSafeInteger(pauseMs), JSON.stringify([policy, attempts, pauseMs])).toBe(true)
      }
    }
  })
})
