import {
  type JsonFields,
  jsonRows,
  jsonRowsText,
  NOW_MS,
  type SqlDatabase,
  type SqlStatement,
} from '../drivers/database/index.ts'
import { statementName } from '../drivers/pg/index.ts'
import type { SqlValue } from '../drivers/sql/index.ts'

/** A database as statements are written for it. */
export type Dialected = Pick<SqlDatabase, 'dialect' | 'table'>

/** A JSON list of objects as rows, `j`, from the first parameter; `j.n` is the place in the list. */
export function listRows({ dialect }: Dialected, fields: JsonFields): string {
  return jsonRows(dialect, fields, { numbered: true })
}

/** A parameter: `$2::bigint`, or `?`. */
export function parameter({ dialect }: Dialected, index: number, type: 'bigint' | 'text'): string {
  return dialect === 'postgres' ? `$${index}::${type}` : '?'
}

/** The values of a statement that takes a list and others, in the order in which its text names them. */
export function inOrder(
  { dialect }: Dialected,
  list: string,
  others: readonly SqlValue[],
): readonly SqlValue[] {
  return dialect === 'sqlite' ? [...others, list] : [list, ...others]
}

/** A list as a parameter. */
export function listText({ dialect }: Dialected, list: readonly object[]): string {
  return jsonRowsText(dialect, list)
}

/** An expression of one row as text, where the database wants every column so. */
export function column({ dialect }: Dialected, expression: string, name: string): string {
  return dialect === 'postgres' ? `(${expression})::text AS ${name}` : `${expression} AS ${name}`
}

/** A text as it is compared byte by byte: MySQL takes two that differ in blanks at their ends for the same. */
export function exactly({ dialect }: Dialected, expression: string): string {
  return dialect === 'mysql' ? `CAST(${expression} AS BINARY)` : expression
}

/** The time, the same for every row of a statement. */
export function now({ dialect }: Dialected): string {
  return dialect === 'postgres' ? `(SELECT ${NOW_MS.postgres})` : `(${NOW_MS[dialect]})`
}

/** A statement, prepared under a name of its own. */
export function statement(word: string, text: string, columns: readonly string[] = []): SqlStatement {
  return { text, columns, name: statementName(`outbox_${word}`, text) }
}
