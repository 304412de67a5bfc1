import { refuseUnknown, wholeNumber, written } from '../core/known-fields.ts'
import { valueCodec } from '../core/value-codec.ts'
import type { TaskPolicy, TaskRecord } from './task-record.ts'
import type { Backoff, NewTask } from './task-types.ts'

/** The longest external id, user or action, in UTF-8 bytes. */
const MAX_NAME_BYTES = 255

const FIELDS: Readonly<Record<keyof NewTask, true>> = {
  userId: true,
  actionType: true,
  taskId: true,
  input: true,
  runAt: true,
  delayMs: true,
  maxAttempts: true,
  onCrash: true,
  onError: true,
  ifUnfinished: true,
  ifFinished: true,
  backoff: true,
}
const KNOWN = Object.keys(FIELDS)

/** A checked task with what is to be written of it. Times are left to the database. */
export interface WantedTask {
  readonly order: NewTask
  readonly id: string
  readonly input: string | null
  readonly policy: TaskPolicy
  readonly runAt: number | null
  readonly delayMs: number
}

/** Checks a task. @throws `TypeError` that names what is wrong with it, and the mend. */
export function wantedTask(given: NewTask, id: string, maxInputBytes: number): WantedTask {
  refuseUnknown('a task', given, KNOWN)
  // It is written later, and the caller may use the object again meanwhile.
  const order: NewTask = { ...given }
  checkName('userId', order.userId)
  checkName('actionType', order.actionType)
  if (order.taskId !== undefined) checkName('taskId', order.taskId)
  oneOf('onCrash', order.onCrash, ['hold', 'rerun'])
  oneOf('onError', order.onError, ['retry', 'hold'])
  oneOf('ifUnfinished', order.ifUnfinished, ['reject', 'use-existing', 'replace'])
  oneOf('ifFinished', order.ifFinished, ['reject', 'allow-after-failure', 'allow'])
  const { runAt, delayMs } = order
  if (runAt !== undefined && delayMs !== undefined) {
    throw new TypeError('a task has either runAt or delayMs, not both')
  }
  const backoff = order.backoff && checkedBackoff(order.backoff)
  return {
    order,
    id,
    input: order.input === undefined ? null : encodedInput(order.input, maxInputBytes),
    policy: {
      attempts: wholeNumber('maxAttempts', order.maxAttempts ?? 5, 1, 1_000_000),
      ...(order.onError === 'hold' ? { onError: 'hold' } : {}),
      ...(backoff ? { backoff } : {}),
    },
    runAt: runAt === undefined ? null : moment(runAt),
    delayMs: Math.ceil(delayMs === undefined ? 0 : within('delayMs', delayMs, 0, MAX_TIME)),
  }
}

/** Checks a name that callers choose. @throws `TypeError`. */
export function checkName(field: string, name: unknown): string {
  if (typeof name !== 'string' || name === '') {
    throw new TypeError(`${field} must be a non-empty string, not ${written(name)}`)
  }
  if (name.includes('\0') || !name.isWellFormed()) {
    throw new TypeError(`${field} holds a NUL or half of a surrogate pair; give well-formed text`)
  }
  const bytes = Buffer.byteLength(name)
  if (bytes <= MAX_NAME_BYTES) return name
  throw new TypeError(
    `${field} has ${bytes} bytes, the most is ${MAX_NAME_BYTES}; derive a shorter one with deriveKey`,
  )
}

/** Refuses a word that is none of a few. Absent is fine. @throws `TypeError`. */
export function oneOf(field: string, given: unknown, words: readonly string[]): void {
  if (given === undefined || (typeof given === 'string' && words.includes(given))) return
  throw new TypeError(`${field} must be one of ${words.join(', ')}, not ${written(given)}`)
}

/** The row that `INSERT` is given. */
export function insertRow({
  order,
  id,
  input,
  policy,
  runAt,
  delayMs,
}: WantedTask): Readonly<Record<string, unknown>> {
  return {
    id,
    taskid: order.taskId ?? null,
    userid: order.userId,
    action: order.actionType,
    oncrash: order.onCrash ?? 'hold',
    policy: JSON.stringify(policy),
    input,
    runat: runAt,
    delay: delayMs,
    attempts: policy.attempts,
  }
}

/** The record of a task that was created at `now`. */
export function createdRecord(
  { order, id, input, policy, runAt, delayMs }: WantedTask,
  now: number,
): TaskRecord {
  return {
    id,
    taskId: order.taskId ?? null,
    formerTaskId: null,
    userId: order.userId,
    actionType: order.actionType,
    state: 'pending',
    onCrash: order.onCrash ?? 'hold',
    policy,
    input,
    runAt: runAt ?? now + delayMs,
    attempt: 0,
    maxAttempts: policy.attempts,
    fence: 0,
    owner: null,
    leaseUntil: 0,
    cancel: null,
    createdAt: now,
    changedAt: now,
    finishedAt: null,
    result: null,
    problem: null,
    history: [],
  }
}

/** The farthest moment of a Date, in ms. */
const MAX_TIME = 8.64e15

function moment(runAt: number | Date): number {
  const ms = runAt instanceof Date ? runAt.getTime() : runAt
  return Math.ceil(within('runAt', ms, 0, MAX_TIME))
}

function within(field: string, value: unknown, least: number, most: number): number {
  if (typeof value === 'number' && value >= least && value <= most) return value
  throw new TypeError(`${field} must be a number from ${least} to ${most}, not ${written(value)}`)
}

function checkedBackoff(given: Backoff): Backoff {
  refuseUnknown('backoff', given, ['initialMs', 'maxMs', 'factor'])
  const backoff: Backoff = { ...given }
  if (backoff.initialMs !== undefined) within('backoff.initialMs', backoff.initialMs, 0, MAX_TIME)
  if (backoff.maxMs !== undefined) within('backoff.maxMs', backoff.maxMs, 0, MAX_TIME)
  if (backoff.factor !== undefined) within('backoff.factor', backoff.factor, 1, 1000)
  return backoff
}

function encodedInput(input: unknown, maxBytes: number): string {
  const bytes = encoded('the input', input)
  if (bytes.byteLength <= maxBytes) return bytes.toString()
  throw new TypeError(
    `the input has ${bytes.byteLength} bytes, the most is ${maxBytes}; store it elsewhere and give its name, or raise maxInputBytes`,
  )
}

function encoded(what: string, value: unknown): Buffer {
  try {
    return Buffer.from(valueCodec.encode(value))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new TypeError(`${what} cannot be stored: ${why}`, { cause })
  }
}
