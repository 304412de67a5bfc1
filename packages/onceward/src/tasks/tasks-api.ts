import type { Finding } from '../core/store.ts'
import type { DatabaseHandle, DatabaseOptions } from '../drivers/database/index.ts'
import type {
  Audit,
  Cancelled,
  Created,
  Decided,
  NewTask,
  Resolution,
  Task,
  TaskEventNotice,
  TaskPage,
  TaskQuery,
  TaskResult,
  TaskStats,
} from './task-types.ts'
import type { TaskWorker, WorkerOptions } from './worker-types.ts'

/** How long finished tasks are remembered, in ms; `Infinity` for ever. Until then their external ids count. */
export interface TaskRetention {
  /** Default 7 days. */
  readonly doneMs?: number
  /** Default 30 days. */
  readonly failedMs?: number
  /** Default 7 days. */
  readonly cancelledMs?: number
  /** Default for ever: dead letters wait for a person. Held ones always do. */
  readonly deadMs?: number
}

/** How tasks are kept. */
export interface TasksOptions extends DatabaseOptions {
  readonly db: DatabaseHandle
  /** For `purge`. */
  readonly retention?: TaskRetention
  /** `v7` (default) sorts by time of creation; `v4` tells nothing about it. */
  readonly ids?: 'v7' | 'v4'
  /** The most bytes of an encoded input. Default 262,144. */
  readonly maxInputBytes?: number
  /** The most bytes of an encoded result; a larger one is not stored, and the task is done. Default 262,144. */
  readonly maxResultBytes?: number
  /** Is told what workers do. What it throws is dropped. */
  readonly observer?: (event: TaskEventNotice) => void
}

/** A ledger of tasks in a SQL database. */
export interface Tasks {
  /**
   * Creates a task.
   *
   * @throws `TypeError` for a task that makes no sense, before anything is written. `STORE_UNAVAILABLE` with effect unknown
   * where the answer was lost: with a `taskId` asking again is safe.
   */
  create(task: NewTask, options?: { readonly tx?: never }): Promise<Created>
  /** Creates many, all or none, and answers in their order. */
  create(tasks: readonly NewTask[], options?: { readonly tx?: never }): Promise<readonly Created[]>
  /**
   * Creates a task in the open transaction of the caller: it exists once that has committed. Answers and throws at once on
   * SQLite, where the answer is no promise.
   */
  create(task: NewTask, options: CreateOptions): Created | Promise<Created>
  create(tasks: readonly NewTask[], options: CreateOptions): readonly Created[] | Promise<readonly Created[]>
  /** Begins to run tasks with these handlers. */
  worker(options: WorkerOptions): TaskWorker
  get(id: string): Promise<Task | undefined>
  /** Finds the task that counts for an external id. */
  find(id: {
    readonly taskId: string
    readonly userId: string
    readonly actionType: string
  }): Promise<Task | undefined>
  list(query?: TaskQuery): Promise<TaskPage>
  /** Answers how a task ended; waits for it for up to `waitMs` (default 0). @throws `ABORTED` when `signal` does. */
  result(
    id: string,
    options?: { readonly waitMs?: number; readonly signal?: AbortSignal },
  ): Promise<TaskResult>
  /** Cancels a pending task; asks the worker of a running one, in whichever process it is. */
  cancel(id: string, options?: { readonly reason?: string; readonly actor?: string }): Promise<Cancelled>
  /** Gives a dead or failed task as many attempts as it had at first; not one whose external id a newer task has taken over. */
  redrive(id: string, audit: Audit): Promise<Decided>
  /** Decides a held task. */
  resolve(id: string, resolution: Resolution): Promise<Decided>
  /** Ends lapsed attempts, at most `limit` (default 500); workers do so by themselves. Answers how many. */
  sweep(limit?: number): Promise<number>
  /** Forgets finished tasks whose retention is over, at most `limit` (default 1,000). Answers how many. */
  purge(limit?: number): Promise<number>
  stats(): Promise<TaskStats>
  /** Looks for what would weaken the guarantees, or leave tasks lying. */
  doctor(): Promise<readonly Finding[]>
  /** Brings the schema up to date; answers the migrations it applied. */
  migrate(): Promise<readonly string[]>
  /** Stops the workers (each within its default grace) and refuses further calls. Pools stay their owner's. */
  close(): Promise<void>
}

/** How tasks are created. */
export interface CreateOptions {
  /** An open transaction of the caller: a handle of any package that `once.within` takes. */
  readonly tx?: object
}
