import type { Task } from './task-types.ts'

/** What a handler is given beside the task. */
export interface TaskRun {
  readonly attempt: number
  /** Greater with each attempt of this task: give it to resources that refuse smaller ones. */
  readonly fence: number
  /**
   * Aborts with `CLAIM_LOST` when another worker may be given the task, before the database gives it, network or not; with
   * `ABORTED` when the task is to be cancelled, or when the worker has stopped and its grace is over.
   */
  readonly signal: AbortSignal
  /**
   * Renews the lease now; the worker does so by itself every third of it. @throws `CLAIM_LOST`, or the reason to cancel.
   */
  heartbeat(): Promise<void>
}

/**
 * Does the work of one task; what it returns is the result.
 *
 * What it throws ends the attempt: `finalFailure(error)` makes the task `failed`, `noEffect(error)` has another attempt follow,
 * and any other error too, unless the task says `onError: 'hold'`. When the attempts are used up, the task is `dead`.
 */
export type TaskHandler = {
  // As a method, so that a handler may name the type of its input.
  handle(task: Task, run: TaskRun): unknown
}['handle']

/** How a worker works. */
export interface WorkerOptions {
  /** By action. A task whose action nobody handles stays pending. */
  readonly handlers: Readonly<Record<string, TaskHandler>>
  /** Which of the handled actions to take. Default: all. */
  readonly types?: readonly string[]
  /** How many tasks run at the same time. Default 10. */
  readonly concurrency?: number
  /**
   * How many are taken in one call at most. Default: `concurrency`, at most 200. On PostgreSQL, from a `concurrency` of 20 on,
   * never more than half of it.
   */
  readonly batchSize?: number
  /** How long a silent worker keeps its tasks, in ms on the clock of the database. Default 30,000; at least 100. */
  readonly leaseMs?: number
  /** How often the worker looks for tasks when nobody wakes it, in ms. Default 500. */
  readonly pollMs?: number
  /** How long `stop` waits for running tasks before their signals abort, in ms. Default 10,000. */
  readonly graceMs?: number
}

/** A worker at work. */
export interface TaskWorker {
  /** How many tasks run now. */
  readonly active: number
  /**
   * Takes no more tasks and waits for the running ones. After `graceMs` their signals abort; those that have not ended soon
   * after that are left to lapse: held, or run by another worker.
   */
  stop(options?: { readonly graceMs?: number }): Promise<void>
}
