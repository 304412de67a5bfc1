import type { OperationRecord } from '../../core/operation.ts'
import { type PgValue, plainArray, type TextRow, textArray } from '../../drivers/pg/index.ts'
import {
  fromColumns,
  RECORD_COLUMNS,
  type RecordColumns,
  type Row,
  toColumns,
} from '../../drivers/sql/index.ts'

/** The server's clock in whole ms. Never `now()`, which stands still at the start of a transaction. */
export const NOW_MS = 'floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint'

/** A column as the text it is answered in. */
function answered(column: keyof RecordColumns): string {
  const name = column.replaceAll('_', '')
  // What is sent as bytes depends on settings of the user; base64 does not.
  if (column === 'payload') return `encode(o.payload, 'base64') AS ${name}`
  return `o.${column}::text AS ${name}`
}

/** The columns of a record of the table `o`, for the list of a SELECT. */
export const RECORD_LIST: string = RECORD_COLUMNS.map(answered).join(', ')

/** The names of {@link RECORD_LIST} in an answer. */
export const RECORD_NAMES: readonly string[] = RECORD_COLUMNS.map((column) => column.replaceAll('_', ''))

/**
 * Reads the record of which the columns begin at `from`.
 *
 * @throws `STORE_CORRUPT` for a row that no store wrote.
 */
export function recordAt(values: TextRow, from: number, where: string): OperationRecord {
  const row: Record<string, unknown> = {}
  RECORD_COLUMNS.forEach((column, index) => {
    row[column] = values[from + index]
  })
  const { holds, payload } = row
  row['holds'] = holds === 'true' || (holds === 'false' ? false : holds)
  if (typeof payload === 'string') row['payload'] = Buffer.from(payload, 'base64')
  return fromColumns(row as Row, where)
}

const TEXT = [
  'digest',
  'scope',
  'key',
  'state',
  'fingerprint',
  'on_crash',
  'owner',
  'detail',
  'history',
] as const

/** The columns of records that are written as arrays, without the payload. */
const WRITTEN = RECORD_COLUMNS.filter((column) => column !== 'payload')

function typeOf(column: keyof RecordColumns): string {
  if ((TEXT as readonly string[]).includes(column)) return 'text'
  return column === 'holds' ? 'boolean' : 'bigint'
}

/** Records as a table `a` of parameters, the first of them `$1`; {@link recordValues} has the values. */
export const RECORD_SOURCE: string = `unnest(${WRITTEN.map(
  (column, index) => `$${index + 1}::${typeOf(column)}[]`,
).join(', ')}, $${WRITTEN.length + 1}::bigint[], $${WRITTEN.length + 2}::bigint[])
  AS a(${WRITTEN.join(', ')}, start, length)`

/** How many parameters {@link RECORD_SOURCE} and its payload take. */
export const RECORD_PARAMETERS: number = WRITTEN.length + 3

/** A column of {@link RECORD_SOURCE} as the table takes it. */
export function writtenColumn(column: keyof RecordColumns): string {
  if (column === 'payload') return payloadPiece(RECORD_PARAMETERS)
  return column === 'attempt' || column === 'asks' ? `a.${column}::integer` : `a.${column}`
}

/** The piece of the bytes in parameter `$number` that belongs to a row. */
export function payloadPiece(number: number): string {
  return `CASE WHEN a.length IS NULL THEN NULL ELSE substr($${number}::bytea, a.start::integer, a.length::integer) END`
}

/** The parameters of {@link RECORD_SOURCE}. */
export function recordValues(records: readonly OperationRecord[]): PgValue[] {
  const rows = records.map(toColumns)
  const arrays = WRITTEN.map((column) =>
    typeOf(column) === 'text'
      ? textArray(rows.map((row) => row[column] as string | null))
      : plainArray(rows.map((row) => row[column] as number | boolean | null)),
  )
  return [...arrays, ...payloadValues(rows.map((row) => row.payload))]
}

/** Pieces of bytes as where each begins (from 1), how long it is, and all of them one after another. */
export function payloadValues(
  pieces: readonly (Uint8Array | null)[],
): [starts: string, lengths: string, bytes: Uint8Array] {
  const starts: (number | null)[] = []
  const lengths: (number | null)[] = []
  const present: Uint8Array[] = []
  let next = 1
  for (const piece of pieces) {
    starts.push(piece === null ? null : next)
    lengths.push(piece === null ? null : piece.length)
    if (piece === null) continue
    present.push(piece)
    next += piece.length
  }
  return [plainArray(starts), plainArray(lengths), Buffer.concat(present)]
}
