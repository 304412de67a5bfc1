import { clipNote } from '../core/clip-note.ts'
import { namedNote } from '../core/error-note.ts'
import { MAX_HISTORY } from '../core/operation.ts'
import type { TaskRecord } from './task-record.ts'
import type { NewTask, TaskEvent, TaskFailure, TaskState } from './task-types.ts'

/**
 * The life of a task: from each state, those that may follow. Every statement that changes a state names the state that it
 * expects to find, so that no other edge is ever taken.
 */
export const TASK_EDGES: Readonly<Record<TaskState, readonly TaskState[]>> = {
  pending: ['running', 'cancelled'],
  running: ['pending', 'done', 'failed', 'dead', 'held', 'cancelled'],
  held: ['pending', 'done', 'failed'],
  failed: ['pending'],
  dead: ['pending'],
  done: [],
  cancelled: [],
}

/** Whether a task in this state has ended, for good or until somebody redrives it. A held one has not. */
export function isFinished(state: TaskState): boolean {
  return state === 'done' || state === 'failed' || state === 'dead' || state === 'cancelled'
}

/** How an attempt ended. */
export type Ending =
  | { readonly kind: 'done'; readonly result: string }
  | { readonly kind: 'not-replayable'; readonly reason: string }
  /** A final failure. */
  | { readonly kind: 'failed'; readonly failure: TaskFailure }
  /** It threw: another attempt follows after `delayMs`, as long as there are any. */
  | { readonly kind: 'thrown'; readonly failure: TaskFailure; readonly delayMs: number }
  /** It threw, and nobody knows whether its effect has happened. */
  | { readonly kind: 'hold'; readonly failure: TaskFailure }
  /** It was never begun: the attempt does not count. */
  | { readonly kind: 'released' }

/** Ends a running attempt. */
export function settle(record: TaskRecord, ending: Ending, now: number): TaskRecord {
  switch (ending.kind) {
    case 'done':
      return moved({ ...record, result: ending.result, problem: null }, 'done', now)
    case 'not-replayable':
      return moved({ ...record, result: null, problem: { notReplayable: ending.reason } }, 'done', now)
    case 'failed':
      return moved(withFailure(record, ending.failure), 'failed', now, 'failed', namedNote(ending.failure))
    case 'hold':
      return moved(withFailure(record, ending.failure), 'held', now, 'held', namedNote(ending.failure))
    case 'thrown':
      return retried(
        withFailure(record, ending.failure),
        now,
        ending.delayMs,
        'retried',
        namedNote(ending.failure),
      )
    case 'released': {
      if (record.cancel !== null) return moved(record, 'cancelled', now, 'cancelled', record.cancel)
      // Attempts only grow: what an attempt has is never another's.
      const spared = { ...record, maxAttempts: record.maxAttempts + 1, runAt: now }
      return moved(spared, 'pending', now, 'released')
    }
  }
}

/** Ends a running attempt whose lease is over. */
export function lapse(record: TaskRecord, now: number, delayMs: number): TaskRecord {
  const failure: TaskFailure = {
    name: 'Lapsed',
    message: `the worker of attempt ${record.attempt} was not heard of in time`,
    effect: 'unknown',
  }
  const lapsed = withFailure(record, failure)
  if (record.onCrash === 'hold') return moved(lapsed, 'held', now, 'held', namedNote(failure))
  return retried(lapsed, now, delayMs, 'lapsed')
}

function retried(
  record: TaskRecord,
  now: number,
  delayMs: number,
  event: TaskEvent['event'],
  note?: string,
): TaskRecord {
  if (record.cancel !== null) return moved(record, 'cancelled', now, 'cancelled', record.cancel)
  if (record.attempt >= record.maxAttempts) return moved(record, 'dead', now, 'dead', note)
  return moved({ ...record, runAt: now + delayMs }, 'pending', now, event, note)
}

/** Cancels a pending task, or notes that a running one is to end. Nothing where that is too late. */
export function cancel(record: TaskRecord, reason: string, now: number): TaskRecord | undefined {
  if (record.state === 'pending')
    return moved({ ...record, cancel: reason }, 'cancelled', now, 'cancelled', reason)
  if (record.state !== 'running') return undefined
  return record.cancel === null ? noted({ ...record, cancel: reason }, now, 'cancel-asked', reason) : record
}

/** Gives a dead or failed task as many attempts again as `allotted`. Nothing for any other, and where another has taken its place. */
export function redrive(
  record: TaskRecord,
  allotted: number,
  note: string,
  now: number,
): TaskRecord | undefined {
  if (record.state !== 'dead' && record.state !== 'failed') return undefined
  // Two of them would do the same work.
  if (record.formerTaskId !== null) return undefined
  return moved(
    { ...record, maxAttempts: record.attempt + allotted, runAt: now, cancel: null },
    'pending',
    now,
    'redriven',
    note,
  )
}

/** What a held task is to be. */
export type Verdict =
  | { readonly as: 'done'; readonly result: string }
  | { readonly as: 'failed' }
  | { readonly as: 'release' }

/** Decides a held task. Nothing for any other. */
export function resolve(
  record: TaskRecord,
  verdict: Verdict,
  note: string,
  now: number,
): TaskRecord | undefined {
  if (record.state !== 'held') return undefined
  switch (verdict.as) {
    case 'done':
      return moved({ ...record, result: verdict.result, problem: null }, 'done', now, 'resolved', note)
    case 'failed':
      return moved(record, 'failed', now, 'resolved', note)
    case 'release': {
      const maxAttempts = Math.max(record.maxAttempts, record.attempt + 1)
      return moved({ ...record, maxAttempts, runAt: now, cancel: null }, 'pending', now, 'resolved', note)
    }
  }
}

/** What a task that is there means for one that is to be created under its external id. */
export type Conflict =
  | { readonly outcome: 'existing' }
  | { readonly outcome: 'rejected'; readonly reason: 'unfinished' | 'finished' }
  /** The one that is there gives its external id up, as this record. */
  | { readonly outcome: 'replaced'; readonly record: TaskRecord }

/** Decides between the task that is there and a new one, by the policies of the new one. */
export function conflict(
  found: TaskRecord,
  wanted: Pick<NewTask, 'ifUnfinished' | 'ifFinished'>,
  now: number,
): Conflict {
  if (isFinished(found.state)) {
    const policy = wanted.ifFinished ?? 'reject'
    const allowed = policy === 'allow' || (policy === 'allow-after-failure' && found.state !== 'done')
    return allowed
      ? { outcome: 'replaced', record: withoutId(found) }
      : { outcome: 'rejected', reason: 'finished' }
  }
  const policy = wanted.ifUnfinished ?? 'use-existing'
  if (policy === 'use-existing') return { outcome: 'existing' }
  // What may have had its effect, and may not be run twice, is not followed by another.
  const replaceable = found.state === 'pending' || (found.state === 'running' && found.onCrash === 'rerun')
  if (policy === 'reject' || !replaceable) return { outcome: 'rejected', reason: 'unfinished' }
  const reason = 'a new task has taken its place'
  return {
    outcome: 'replaced',
    record: moved({ ...withoutId(found), cancel: reason }, 'cancelled', now, 'replaced', reason),
  }
}

function withoutId(record: TaskRecord): TaskRecord {
  return { ...record, taskId: null, formerTaskId: record.taskId }
}

function withFailure(record: TaskRecord, failure: TaskFailure): TaskRecord {
  return { ...record, problem: { failure } }
}

function noted(record: TaskRecord, now: number, event: TaskEvent['event'], note?: string): TaskRecord {
  const entry = {
    at: now,
    event,
    attempt: record.attempt,
    ...(note === undefined ? {} : { note: clipNote(note) }),
  }
  return { ...record, history: [...record.history, entry].slice(-MAX_HISTORY) }
}

/** Takes an edge. @throws `TypeError` where there is none: a fault of ours. */
function moved(
  record: TaskRecord,
  state: TaskState,
  now: number,
  event?: TaskEvent['event'],
  note?: string,
): TaskRecord {
  if (!TASK_EDGES[record.state].includes(state)) {
    throw new TypeError(`a task that is ${record.state} cannot become ${state}`)
  }
  const next = { ...record, state, changedAt: now, finishedAt: isFinished(state) ? now : null }
  return event === undefined ? next : noted(next, now, event, note)
}
