import { clipNote } from '../core/clip-note.ts'
import { errorNote } from '../core/error-note.ts'
import { isOncewardError } from '../core/errors.ts'
import { MAX_HISTORY } from '../core/operation.ts'
import { ask, type SqlStatement, type SqlWork } from '../drivers/database/index.ts'
import { asciiJson } from '../drivers/mysql/index.ts'
import { conflictOf, sqlStateOf } from '../drivers/sql/index.ts'
import type { InboxCalls } from './inbox-calls.ts'
import type { FailedMessage, FailureEntry } from './inbox-types.ts'
import { send } from './taking.ts'

/** Whether what a handler has thrown is the message's fault, as far as can be told: not a deadlock, nor a store that is away. */
export function countsAsFailure(error: unknown): boolean {
  return conflictOf(error) === undefined && !(isOncewardError(error) && error.retryable)
}

/**
 * Whether the connection of the transaction still answers after its handler has thrown. Where it was lost, whatever the handler
 * has thrown is no fault of the message.
 */
export function* stillAnswers(): SqlWork<boolean> {
  try {
    yield* ask(PROBE)
    return true
  } catch (error) {
    // PostgreSQL refuses everything after a failed statement: an answer all the same.
    return sqlStateOf(error) !== undefined
  }
}

const PROBE: SqlStatement = { text: "SELECT '1' AS one", columns: ['one'] }

/** Counts a failed attempt; answers the count, and whether the message is dead now. */
export function* recordFailure(
  calls: InboxCalls,
  id: string,
  { error, maxAttempts }: { readonly error: unknown; readonly maxAttempts: number },
): SqlWork<{ readonly attempts: number; readonly dead: boolean }> {
  yield* send(calls.addFailure(id))
  const { rows } = yield* send(calls.lockFailure(id))
  const row = rows[0]
  const attempts = Number(row?.['attempts'] ?? 0) + 1
  const dead = attempts >= maxAttempts
  const at = Number(row?.['now'])
  const entry: FailureEntry = { at, event: dead ? 'dead' : 'failed', note: errorNote(error) }
  const deadAt = dead ? at : null
  yield* send(calls.setFailure(id, { attempts, deadAt, history: grown(row?.['history'], entry) }))
  return { attempts, dead }
}

/** Makes a dead message one that may be processed; answers whether it was dead. */
export function* redriveMessage(calls: InboxCalls, id: string, reason: string): SqlWork<boolean> {
  const { rows } = yield* send(calls.lockFailure(id))
  const row = rows[0]
  if (row === undefined || row['dead_at'] === null) return false
  const entry: FailureEntry = { at: Number(row['now']), event: 'redriven', note: clipNote(reason) }
  yield* send(calls.setFailure(id, { attempts: 0, deadAt: null, history: grown(row['history'], entry) }))
  return true
}

/** Reads a failure as it is listed. */
export function failedMessage(calls: InboxCalls, row: Readonly<Record<string, unknown>>): FailedMessage {
  const deadAt = row['dead_at']
  return {
    id: calls.readId(row['id']),
    attempts: Number(row['attempts']),
    failedAt: Number(row['failed_at']),
    ...(deadAt === null ? {} : { deadAt: Number(deadAt) }),
    history: historyOf(row['history']),
  }
}

function grown(history: unknown, entry: FailureEntry): string {
  return asciiJson([...historyOf(history), entry].slice(-MAX_HISTORY))
}

function historyOf(text: unknown): readonly FailureEntry[] {
  return typeof text === 'string' ? (JSON.parse(text) as readonly FailureEntry[]) : []
}
