import type { OperationRecord } from '../../core/operation.ts'
import { type PgValue, plainArray, textArray } from '../../drivers/pg/index.ts'
import {
  fromColumns,
  RECORD_COLUMNS,
  type RecordColumns,
  type Row,
  toColumns,
} from '../../drivers/sql/index.ts'

/** A column of the table `o` as text. What is sent as bytes depends on settings of the user; base64 does not. */
function asText(column: keyof RecordColumns): string {
  return column === 'payload' ? `encode(o.payload, 'base64')` : `o.${column}::text`
}

/** A record of the table `o` in one column: a JSON list of its columns as text. */
export const RECORD: string = `array_to_json(ARRAY[${RECORD_COLUMNS.map(asText).join(', ')}])::text`

/**
 * Reads a record from what {@link RECORD} has answered.
 *
 * @throws `STORE_CORRUPT` for a row that no store wrote.
 */
export function readRecord(found: string, where: string): OperationRecord {
  const values = JSON.parse(found) as readonly (string | null)[]
  const row: Record<string, unknown> = {}
  for (let index = 0; index < RECORD_COLUMNS.length; index++) {
    row[RECORD_COLUMNS[index] as string] = values[index]
  }
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
function payloadPiece(number: number): string {
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

/** What all calls of a batch have in common is said once, where the function that is called takes it so. */
export function once<T>(values: T[]): T[] {
  const [first] = values
  return values.every((value) => value === first) ? values.slice(0, 1) : values
}
