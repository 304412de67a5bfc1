import { OncewardError } from '../../core/errors.ts'
import type { OperationRecord } from '../../core/operation.ts'
import type { Detail } from './record-columns.ts'
import { payloadReader, readEvent, readOutcome, readStep, type StoredEvent } from './stored-parts.ts'

/** A row as a driver answers it: nothing in it is believed before it was looked at. */
export type Row = Readonly<Record<string, unknown>>

/**
 * Reads a record. Numbers may come as numbers, BigInts or text, booleans as 0 and 1, bytes as any Uint8Array.
 *
 * @param where - The database, for messages.
 * @throws `STORE_CORRUPT` with effect unknown for a row that no store wrote.
 */
export function fromColumns(row: Row, where: string): OperationRecord {
  try {
    return readColumns(row)
  } catch (cause) {
    const digest = typeof row['digest'] === 'string' ? row['digest'] : '(unreadable)'
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new OncewardError(
      'STORE_CORRUPT',
      `operation ${digest} in ${where} cannot be read (${reason}); restore that row, or settle by hand what became of it`,
      { cause, effect: 'unknown' },
    )
  }
}

function readColumns(row: Row): OperationRecord {
  const detail = row['detail'] === null ? {} : (parsed(row, 'detail') as Detail)
  const takeBytes = payloadReader(row['payload'])
  const state = oneOf(row, 'state', ['running', 'done', 'held', 'released'] as const)
  const [scope, key] = detail.id ?? [text(row, 'scope'), text(row, 'key')]
  const steps = (detail.steps ?? []).map((step) => readStep(step, takeBytes))
  const outcome = detail.outcome && readOutcome(detail.outcome, takeBytes)
  if ((state === 'done') !== (outcome !== undefined)) throw new TypeError('done and its outcome disagree')
  const leaseUntil = whole(row, 'lease_until')
  const retentionMs = whole(row, 'retention_ms')
  const holds = flag(row, 'holds')
  const expiresAt =
    state === 'running'
      ? holds
        ? undefined
        : leaseUntil + retentionMs
      : row['expires_at'] === null
        ? undefined
        : whole(row, 'expires_at')
  return {
    id: { scope, key, digest: text(row, 'digest') },
    state,
    ...optionalText(row, 'fingerprint'),
    onCrash: oneOf(row, 'on_crash', ['hold', 'rerun'] as const),
    ...optionalText(row, 'owner'),
    fence: whole(row, 'fence'),
    attempt: whole(row, 'attempt'),
    createdAt: whole(row, 'created_at'),
    updatedAt: whole(row, 'updated_at'),
    leaseUntil,
    retentionMs,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(detail.heldReason === undefined ? {} : { heldReason: detail.heldReason }),
    asks: whole(row, 'asks'),
    nextAskAt: whole(row, 'next_ask_at'),
    steps,
    duplicates: whole(row, 'duplicates'),
    history: (parsed(row, 'history') as readonly StoredEvent[]).map(readEvent),
  }
}

function text(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw new TypeError(`${column} is not text`)
  return value
}

function optionalText<Column extends string>(row: Row, column: Column): { readonly [C in Column]?: string } {
  if (row[column] === null) return {}
  return { [column]: text(row, column) } as { readonly [C in Column]?: string }
}

function oneOf<const Word extends string>(row: Row, column: string, words: readonly Word[]): Word {
  const value = row[column]
  const word = words.find((one) => one === value)
  if (word === undefined) throw new TypeError(`${column} is ${JSON.stringify(value)}`)
  return word
}

function whole(row: Row, column: string): number {
  const value = row[column]
  const number = typeof value === 'string' || typeof value === 'bigint' ? Number(value) : value
  if (value === '' || !Number.isSafeInteger(number)) throw new TypeError(`${column} is not a whole number`)
  return number as number
}

function flag(row: Row, column: string): boolean {
  const value = row[column]
  if (value === true || value === false) return value
  return whole(row, column) === 1
}

function parsed(row: Row, column: string): unknown {
  const value: unknown = JSON.parse(text(row, column))
  if (typeof value !== 'object' || value === null) throw new TypeError(`${column} is not what was written`)
  return value
}
