/**
 * The words of this file, used everywhere the same:
 *
 * - **task**: one act that is to be done once, by whichever worker gets to it. Its `id` is made by the library.
 * - **external id** (`taskId`): the caller's own; unique only together with the user and the action.
 * - **attempt**: 1, 2, 3… counted when a worker is given the task, so that an attempt that kills its process counts too.
 * - **lease**: how long a worker may be silent before the task counts as lapsed, on the clock of the database.
 * - **held**: a lapsed task that nobody runs again until somebody has resolved it: its effect may have happened.
 * - **dead**: a task whose attempts are used up. It waits for a redrive.
 */
import type { Effect, OnCrash } from '../core/operation.ts'

/** The states of a task. */
export type TaskState = 'pending' | 'running' | 'done' | 'failed' | 'dead' | 'held' | 'cancelled'

/** How long to wait before an attempt that follows a failed one: `initialMs · factor^(failures − 1)`, with jitter. */
export interface Backoff {
  /** Default 1,000. */
  readonly initialMs?: number
  /** Default 300,000 (five minutes). */
  readonly maxMs?: number
  /** Default 2. */
  readonly factor?: number
}

/** A task to create. */
export interface NewTask {
  /** Whose task it is: part of what an external id is unique in. At most 255 bytes of UTF-8. */
  readonly userId: string
  /** What is to be done: the name of a handler. At most 255 bytes of UTF-8. */
  readonly actionType: string
  /** The caller's own id: at most one task that counts has it together with this user and this action. */
  readonly taskId?: string
  /** What the handler is given. Anything the value codec keeps; at most 256 KiB encoded. */
  readonly input?: unknown
  /** Not before this moment, in ms since the epoch or as a Date, by the clock of the database. Default: at once. */
  readonly runAt?: number | Date
  /** Not before so many ms from now, by the clock of the database. Not together with `runAt`. */
  readonly delayMs?: number
  /** How often it is attempted at most. Default 5. */
  readonly maxAttempts?: number
  /** What the lapse of a running attempt means: nobody runs the task again (`hold`, the default), or somebody does. */
  readonly onCrash?: OnCrash
  /**
   * What it means when a handler throws an unmarked error: another attempt (`retry`, the default), or `hold`, for handlers that
   * cannot tell whether their effect has happened.
   */
  readonly onError?: 'retry' | 'hold'
  /**
   * What to do when the task of this external id has not finished. `use-existing` (default) and `reject` change nothing;
   * `replace` cancels it and creates the new one: where it is pending, or where it is running and may be rerun
   * (`onCrash: 'rerun'`). Everything else that may be under way is left alone, and the new one is rejected.
   */
  readonly ifUnfinished?: 'reject' | 'use-existing' | 'replace'
  /** What to do when it has: never again (`reject`, the default), only if it was not done, or always. */
  readonly ifFinished?: 'reject' | 'allow-after-failure' | 'allow'
  /** The pauses between attempts. */
  readonly backoff?: Backoff
}

/** One line of a task's history. */
export interface TaskEvent {
  /** In ms since the epoch, on the clock of the database (as the worker knows it, for events of workers). */
  readonly at: number
  readonly event:
    | 'retried'
    | 'lapsed'
    | 'released'
    | 'failed'
    | 'dead'
    | 'held'
    | 'cancel-asked'
    | 'cancelled'
    | 'replaced'
    | 'resolved'
    | 'redriven'
  readonly attempt: number
  /** Why: an error's name and message, or the actor and the reason. At most 500 characters. */
  readonly note?: string
}

/** What went wrong last. */
export interface TaskFailure {
  readonly name: string
  readonly message: string
  readonly code?: string
  /** Whether the effect of the task may have happened. */
  readonly effect: Effect
}

/** A task as it was when it was looked at. Times are ms since the epoch on the clock of the database. */
export interface Task<Input = unknown> {
  /** Made by the library: a UUID. */
  readonly id: string
  /** The caller's own id. A task that was replaced keeps it here, and does not count any more. */
  readonly taskId?: string
  readonly userId: string
  readonly actionType: string
  readonly state: TaskState
  /** A fresh copy of what was given. */
  readonly input: Input
  readonly onCrash: OnCrash
  /** When it is, or was, due. */
  readonly runAt: number
  /** How many attempts were begun. */
  readonly attempt: number
  readonly maxAttempts: number
  /** A number that is greater with each attempt, for resources that refuse smaller ones. 0 before the first. */
  readonly fence: number
  readonly createdAt: number
  /** When the state changed last. */
  readonly changedAt: number
  readonly finishedAt?: number
  /** Present while running. */
  readonly leaseUntil?: number
  /** Why somebody wants the running task cancelled. */
  readonly cancelReason?: string
  /** What went wrong last: of a failed, dead or held task, or of an attempt that is followed by another. */
  readonly failure?: TaskFailure
  /** Whether a newer task has taken over its external id. */
  readonly replaced: boolean
  /** At most 16 entries; the oldest go first. */
  readonly history: readonly TaskEvent[]
}

/** What became of one task that was to be created. `task` is the one that counts. */
export type Created =
  | { readonly outcome: 'created'; readonly task: Task }
  /** It was there and has not finished. */
  | { readonly outcome: 'existing'; readonly task: Task }
  /** It was there, and the policies allow no other. */
  | { readonly outcome: 'rejected'; readonly reason: 'unfinished' | 'finished'; readonly task: Task }

/** How a task ended, or that it has not. */
export type TaskResult =
  | { readonly outcome: 'done'; readonly value: unknown }
  /** It is done, and its value could not be stored: it is not run again for its value's sake. */
  | { readonly outcome: 'not-replayable'; readonly reason: string }
  | { readonly outcome: 'failed' | 'dead'; readonly failure: TaskFailure }
  | { readonly outcome: 'held'; readonly failure: TaskFailure }
  | { readonly outcome: 'cancelled'; readonly reason: string }
  /** It has not ended within `waitMs`. */
  | { readonly outcome: 'unfinished'; readonly state: 'pending' | 'running' }
  /** No task has this id, or not any more. */
  | { readonly outcome: 'unknown' }

/** What became of a wish to cancel. */
export type Cancelled =
  /** It was pending, and nobody will run it. */
  | { readonly outcome: 'cancelled' }
  /** It is running; its worker is told, and the task ends as its handler ends. */
  | { readonly outcome: 'asked' }
  /** It has ended, or is held: nothing was changed. */
  | { readonly outcome: 'too-late'; readonly state: TaskState }
  | { readonly outcome: 'unknown' }

/** What became of a decision about a task. */
export type Decided =
  | { readonly outcome: 'changed'; readonly task: Task }
  /** The task is in a state to which the decision does not apply: nothing was changed. */
  | { readonly outcome: 'not-applicable'; readonly state: TaskState }
  | { readonly outcome: 'unknown' }

/** Who decided, and why. Kept in the history. */
export interface Audit {
  readonly reason: string
  readonly actor?: string
}

/** A decision about a held task. */
export type Resolution = Audit &
  (
    | { readonly as: 'done'; readonly value?: unknown }
    | { readonly as: 'failed' }
    /** Nothing has happened: the task is run again. */
    | { readonly as: 'release' }
  )

/** Which tasks to list. */
export interface TaskQuery {
  readonly state?: TaskState
  readonly userId?: string
  readonly actionType?: string
  /** Default 100, at most 1,000. */
  readonly limit?: number
  /** The `after` of the page before. */
  readonly after?: string
}

/** One page, the newest ids first (which is the order of creation, unless ids are random). */
export interface TaskPage {
  readonly tasks: readonly Task[]
  /** Where the next page begins; absent at the end. */
  readonly after?: string
}

/** How many tasks of one action are in one state. */
export interface TaskCount {
  readonly actionType: string
  readonly state: TaskState
  readonly count: number
  /** The age of the oldest one by its last change, in ms; of pending ones: for how long the first has been due. */
  readonly oldestMs: number
}

/** What the ledger holds, and what this instance has seen. */
export interface TaskStats {
  readonly counts: readonly TaskCount[]
  /** Actions with due tasks that no worker of this instance handles; another process may. */
  readonly unhandled: readonly string[]
  /** Counted by the workers of this instance since it was made. */
  readonly seen: WorkerCounters
}

/** What the workers of one instance have counted. */
export interface WorkerCounters {
  /** Attempts begun. */
  readonly claimed: number
  readonly done: number
  readonly retried: number
  readonly failed: number
  readonly dead: number
  readonly held: number
  readonly cancelled: number
  /** Attempts that another worker may have been given: whatever they brought was refused. */
  readonly lost: number
}

/** What the workers of an instance tell of. Ids only: no input, no result. */
export interface TaskEventNotice {
  readonly type:
    | 'claimed'
    | 'done'
    | 'retried'
    | 'failed'
    | 'dead'
    | 'held'
    | 'cancelled'
    | 'lost'
    | 'not-replayable'
    /** A call of the database failed; it is tried again. */
    | 'error'
  /** Empty where it is about no single task. */
  readonly id: string
  readonly actionType: string
  readonly attempt?: number
  readonly message?: string
  readonly error?: unknown
}
