import { afterEach, vi } from 'vitest'
import { systemRandom } from '../../src/core/system.ts'
import { openDatabase, type SqlDatabase } from '../../src/drivers/database/index.ts'
import { claimTasks } from '../../src/tasks/claim-work.ts'
import { createTasks, type NewTask, type Tasks, type TasksOptions } from '../../src/tasks/index.ts'
import { type TaskLedger, taskLedger } from '../../src/tasks/task-ledger.ts'
import type { DatabaseRig } from '../databases/on-each-database.ts'

/** What the suites of tasks stand on. */
export interface TasksRig {
  readonly rig: DatabaseRig
  readonly tasks: Tasks
  /** Another instance, over a pool of its own, as in another process. */
  another(options?: Partial<TasksOptions>): Tasks
  /** The statements alone. */
  readonly ledger: TaskLedger
}

/** Opens a database with a ledger for each test, and closes all of it after. */
export function tasksKit(
  open: () => Promise<DatabaseRig>,
): (options?: Partial<TasksOptions>) => Promise<TasksRig> {
  let rig: DatabaseRig | undefined
  const made: Tasks[] = []
  const databases: SqlDatabase[] = []
  afterEach(async () => {
    await Promise.all(made.splice(0).map((tasks) => tasks.close()))
    await Promise.all(databases.splice(0).map((database) => database.close()))
    await rig?.close()
    rig = undefined
  })
  return async (options = {}) => {
    const opened = await open()
    rig = opened
    const another = (own: Partial<TasksOptions> = {}) => {
      const tasks = createTasks({ db: opened.open(), ...options, ...own })
      made.push(tasks)
      return tasks
    }
    const database = openDatabase(opened.open(), {}, 'a test')
    databases.push(database)
    return { rig: opened, tasks: another(), another, ledger: taskLedger(database, systemRandom) }
  }
}

/** A task of `u1`. */
export function taskOf(task: Partial<NewTask> = {}): NewTask {
  return { userId: 'u1', actionType: 'work', ...task }
}

/** Takes tasks as a worker that is never heard of again. */
export function crashedWorker(
  ledger: TaskLedger,
  leaseMs = 50,
  most = 10,
): Promise<readonly { id: string }[]> {
  return claimTasks(ledger, { actions: ['work'], most, owner: 'crashed', leaseMs })
}

/** Waits for a condition, for 15 s or what is said. */
export function until<T>(look: () => T | Promise<T>, timeout = 15_000): Promise<NonNullable<T>> {
  return vi.waitUntil(look, { timeout, interval: 10 }) as Promise<NonNullable<T>>
}

/** Work that goes on when the test says so. */
export function gate(): { readonly passed: Promise<void>; open(): void } {
  let open = () => {}
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { passed, open: () => open() }
}
