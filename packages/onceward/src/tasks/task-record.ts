import { isOncewardError, OncewardError } from '../core/errors.ts'
import type { OnCrash } from '../core/operation.ts'
import { valueCodec } from '../core/value-codec.ts'
import { TASK_EDGES } from './task-transitions.ts'
import type { Backoff, Task, TaskEvent, TaskFailure, TaskState } from './task-types.ts'

/** What of a task's orders is no column of its own. */
export interface TaskPolicy {
  readonly onError?: 'hold'
  readonly backoff?: Backoff
  /** How many attempts it had at first. */
  readonly attempts: number
}

/** What is kept of what went wrong, or of a value that could not be. */
export type Problem = { readonly failure: TaskFailure } | { readonly notReplayable: string }

/** A task as it is stored. */
export interface TaskRecord {
  readonly id: string
  readonly taskId: string | null
  readonly formerTaskId: string | null
  readonly userId: string
  readonly actionType: string
  readonly state: TaskState
  readonly onCrash: OnCrash
  readonly policy: TaskPolicy
  /** As the codec wrote it; null for none. */
  readonly input: string | null
  readonly runAt: number
  readonly attempt: number
  readonly maxAttempts: number
  readonly fence: number
  readonly owner: string | null
  readonly leaseUntil: number
  readonly cancel: string | null
  readonly createdAt: number
  readonly changedAt: number
  readonly finishedAt: number | null
  readonly result: string | null
  readonly problem: Problem | null
  readonly history: readonly TaskEvent[]
}

/** A row as a driver answers it: nothing in it is believed before it was looked at. */
export type Row = Readonly<Record<string, unknown>>

/** The columns and the names under which they are read: single words. */
export const TASK_COLUMNS: readonly (readonly [column: string, name: string])[] = [
  ['id', 'id'],
  ['task_id', 'taskid'],
  ['former_task_id', 'formerid'],
  ['user_id', 'userid'],
  ['action_type', 'action'],
  ['state', 'state'],
  ['on_crash', 'oncrash'],
  ['policy', 'policy'],
  ['input', 'input'],
  ['run_at', 'runat'],
  ['attempt', 'attempt'],
  ['max_attempts', 'attempts'],
  ['fence', 'fence'],
  ['owner', 'owner'],
  ['lease_until', 'lease'],
  ['cancel', 'cancel'],
  ['created_at', 'created'],
  ['changed_at', 'changed'],
  ['finished_at', 'finished'],
  ['result', 'result'],
  ['problem', 'problem'],
  ['history', 'history'],
]

/**
 * Reads a task. @throws `STORE_CORRUPT` with effect unknown for a row that no ledger wrote.
 *
 * @param where - The database, for messages.
 */
export function readRecord(row: Row, where: string): TaskRecord {
  try {
    return {
      id: text(row, 'id'),
      taskId: optional(row, 'taskid'),
      formerTaskId: optional(row, 'formerid'),
      userId: text(row, 'userid'),
      actionType: text(row, 'action'),
      state: stateOf(text(row, 'state')),
      onCrash: text(row, 'oncrash') === 'rerun' ? 'rerun' : 'hold',
      policy: json<TaskPolicy>(row, 'policy') ?? { attempts: 1 },
      input: optional(row, 'input'),
      runAt: whole(row, 'runat'),
      attempt: whole(row, 'attempt'),
      maxAttempts: whole(row, 'attempts'),
      fence: whole(row, 'fence'),
      owner: optional(row, 'owner'),
      leaseUntil: whole(row, 'lease'),
      cancel: json<string>(row, 'cancel') ?? null,
      createdAt: whole(row, 'created'),
      changedAt: whole(row, 'changed'),
      finishedAt: row['finished'] === null ? null : whole(row, 'finished'),
      result: optional(row, 'result'),
      problem: json<Problem>(row, 'problem') ?? null,
      history: row['history'] === '[]' ? [] : (json<readonly TaskEvent[]>(row, 'history') ?? []),
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new OncewardError(
      'STORE_CORRUPT',
      `a task in ${where} cannot be read (${reason}); restore that row, or settle by hand what became of it`,
      { cause, effect: 'unknown' },
    )
  }
}

/** Reads text that may come as bytes. @throws `TypeError`. */
export function text(row: Row, name: string): string {
  const value = row[name]
  if (typeof value === 'string') return value
  if (value instanceof Uint8Array) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString()
  }
  throw new TypeError(`${name} is not text`)
}

/** Reads a whole number, however it came. @throws `TypeError`. */
export function whole(row: Row, name: string): number {
  const value = row[name]
  const number = typeof value === 'string' || typeof value === 'bigint' ? Number(value) : value
  if (value === '' || !Number.isSafeInteger(number)) throw new TypeError(`${name} is not a whole number`)
  return number as number
}

/** Reads the name of a state. @throws `TypeError`. */
export function stateOf(word: string): TaskState {
  if (!Object.hasOwn(TASK_EDGES, word)) throw new TypeError(`there is no state ${JSON.stringify(word)}`)
  return word as TaskState
}

function optional(row: Row, name: string): string | null {
  return row[name] === null ? null : text(row, name)
}

function json<T>(row: Row, name: string): T | undefined {
  return row[name] === null ? undefined : (JSON.parse(text(row, name)) as T)
}

/** The task as its users see it. */
export function viewOf(record: TaskRecord): Task {
  const { taskId, formerTaskId, problem, cancel, finishedAt } = record
  const externalId = taskId ?? formerTaskId
  // Made without copies: each handler is given one.
  const view: { -readonly [Name in keyof Task]: Task[Name] } = {
    id: record.id,
    userId: record.userId,
    actionType: record.actionType,
    state: record.state,
    input: record.input === null ? undefined : decoded(record, record.input),
    onCrash: record.onCrash,
    runAt: record.runAt,
    attempt: record.attempt,
    maxAttempts: record.maxAttempts,
    fence: record.fence,
    createdAt: record.createdAt,
    changedAt: record.changedAt,
    replaced: formerTaskId !== null,
    history: record.history,
  }
  if (externalId !== null) view.taskId = externalId
  if (finishedAt !== null) view.finishedAt = finishedAt
  if (record.state === 'running') view.leaseUntil = record.leaseUntil
  if (cancel !== null) view.cancelReason = cancel
  if (problem && 'failure' in problem) view.failure = problem.failure
  return view
}

/** Reads what the codec wrote. @throws `RECORD_CORRUPT`. */
export function decoded({ id, state }: Pick<TaskRecord, 'id' | 'state'>, stored: string): unknown {
  try {
    return valueCodec.decode(Buffer.from(stored))
  } catch (cause) {
    if (isOncewardError(cause)) throw cause
    throw new OncewardError('RECORD_CORRUPT', `what is stored of task ${id} cannot be read`, {
      cause,
      effect: state === 'pending' ? 'none' : 'unknown',
    })
  }
}

/** What may change of a record, as a row of {@link CHANGE_FIELDS}: of the state and the attempt that `from` was found in. */
export function changeRow(from: TaskRecord, to: TaskRecord): Readonly<Record<string, unknown>> {
  return {
    id: from.id,
    fromstate: from.state,
    fromattempt: from.attempt,
    taskid: to.taskId,
    formerid: to.formerTaskId,
    state: to.state,
    runat: to.runAt,
    attempts: to.maxAttempts,
    cancel: to.cancel === null ? null : JSON.stringify(to.cancel),
    changed: to.changedAt,
    finished: to.finishedAt,
    result: to.result,
    problem: to.problem === null ? null : JSON.stringify(to.problem),
    history: JSON.stringify(to.history),
  }
}
