import { OncewardError } from '../core/errors.ts'
import type { SqlResult } from '../drivers/sql/index.ts'
import { readPayload } from './event-payload.ts'
import type { EventHistoryEntry, EventState, StoredEvent } from './outbox-types.ts'
import { column, type Dialected } from './sql-of.ts'

/** The columns that an event is read from. */
export const EVENT_COLUMNS = [
  'seq',
  'id',
  'topic',
  'event_key',
  'format',
  'payload',
  'headers',
  'state',
  'stops',
  'attempts',
  'until',
  'history',
  'created_at',
] as const

/** The list of them, of the row `o`; where it is returned by the update that has written it, SQLite knows no name for it. */
export function eventColumns(database: Dialected, returned = false): string {
  const row = returned && database.dialect === 'sqlite' ? '' : 'o.'
  return EVENT_COLUMNS.map((name) => column(database, `${row}${name}`, name)).join(', ')
}

/** A row as a driver answers it. */
export type Row = SqlResult['rows'][number]

const STATES: readonly EventState[] = ['ready', 'leased', 'waiting', 'dead', 'sent']

/** Reads a row. @throws `STORE_CORRUPT` for one that was not written here. */
export function storedEvent(row: Row, where: string): StoredEvent {
  try {
    const state = STATES.find((one) => one === row['state'])
    if (state === undefined) throw new TypeError(`state is ${JSON.stringify(row['state'])}`)
    const key = optionalText(row, 'event_key')
    return {
      id: text(row, 'id'),
      topic: text(row, 'topic'),
      ...(key === null ? {} : { key }),
      payload: readPayload({
        format: row['format'] === 'bytes' ? 'bytes' : 'json',
        text: text(row, 'payload'),
      }),
      headers: (parsed(row, 'headers') ?? {}) as Readonly<Record<string, string>>,
      state,
      blocks: row['stops'] !== null,
      attempts: whole(row, 'attempts'),
      ...(row['until'] === null ? {} : { until: whole(row, 'until') }),
      createdAt: whole(row, 'created_at'),
      history: historyOf(row),
      position: String(whole(row, 'seq')),
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new OncewardError(
      'STORE_CORRUPT',
      `event ${String(row['id'])} of the outbox in ${where} cannot be read (${reason}); mend or delete that row`,
      { cause, effect: 'none' },
    )
  }
}

/** Reads the history of a row. */
export function historyOf(row: Row): readonly EventHistoryEntry[] {
  return (parsed(row, 'history') ?? []) as readonly EventHistoryEntry[]
}

/** Reads a whole number, in whatever form the driver answers one. @throws `TypeError`. */
export function whole(row: Row, name: string): number {
  const number = Number(row[name])
  if (row[name] === null || !Number.isSafeInteger(number))
    throw new TypeError(`${name} is not a whole number`)
  return number
}

/** Reads a text. @throws `TypeError`. */
export function text(row: Row, name: string): string {
  const value = row[name]
  if (typeof value !== 'string') throw new TypeError(`${name} is not text`)
  return value
}

function optionalText(row: Row, name: string): string | null {
  return row[name] === null ? null : text(row, name)
}

function parsed(row: Row, name: string): unknown {
  return row[name] === null ? undefined : JSON.parse(text(row, name))
}
