import { readBytea } from '../drivers/adapt/index.ts'
import type { SqlStatement } from '../drivers/database/sql-work.ts'
import type { SqlDialect, SqlResult } from '../drivers/sql/index.ts'

/** A row, by the names of its columns. */
export type Row = Readonly<Record<string, unknown>>

/** How all columns of a row are read, and how its table is called meanwhile. */
export interface RowReading {
  /** What is selected, or returned. */
  readonly columns: string
  /** Goes behind the table. */
  readonly alias: string
  /** What the answer has, see `SqlStatement`. */
  readonly answers: SqlStatement['columns']
  /** The first row of an answer. */
  rowOf(answer: SqlResult): Row | undefined
}

/**
 * Reads whole rows. On PostgreSQL it does not leave the values to the parsers of each package, which differ: the server
 * answers each as text, with its type. `table` is already quoted, of plain names.
 */
export function readingRows(dialect: SqlDialect, table: string): RowReading {
  if (dialect !== 'postgres')
    return { columns: '*', alias: '', answers: ['row'], rowOf: ({ rows }) => rows[0] }
  return {
    columns: `(SELECT json_object_agg(e.key, e.value) FROM json_each_text(row_to_json(onceward_row)) AS e)::text AS row,
  (SELECT json_object_agg(a.attname, format_type(a.atttypid, NULL)) FROM pg_attribute AS a
    WHERE a.attrelid = '${table}'::regclass AND a.attnum > 0 AND NOT a.attisdropped)::text AS types`,
    alias: ' AS onceward_row',
    answers: ['row', 'types'],
    rowOf({ rows }) {
      const [found] = rows
      if (found === undefined) return undefined
      const types = JSON.parse(String(found['types'])) as Readonly<Record<string, string>>
      const texts = JSON.parse(String(found['row'])) as Readonly<Record<string, string | null>>
      return Object.fromEntries(
        Object.entries(texts).map(([name, text]) => [
          name,
          text === null ? null : valueFrom(text, types[name] ?? ''),
        ]),
      )
    },
  }
}

/** What PostgreSQL wrote, as a value of JavaScript; as text where none fits exactly. */
function valueFrom(text: string, type: string): unknown {
  switch (type) {
    case 'smallint':
    case 'integer':
    case 'real':
    case 'double precision':
      return Number(text)
    case 'bigint':
      return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text)
    case 'boolean':
      return text === 'true'
    case 'bytea':
      return readBytea(text)
    case 'json':
    case 'jsonb':
      return JSON.parse(text)
    case 'timestamp with time zone': {
      const date = new Date(text)
      return Number.isNaN(date.getTime()) ? text : date
    }
    default:
      return type.endsWith('[]') ? JSON.parse(text) : text
  }
}
