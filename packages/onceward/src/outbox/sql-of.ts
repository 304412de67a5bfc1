import { NOW_MS, type SqlDatabase, type SqlStatement } from '../drivers/database/index.ts'
import { asciiJson, JSON_PARAMETER } from '../drivers/mysql/index.ts'
import { statementName } from '../drivers/pg/index.ts'
import type { SqlValue } from '../drivers/sql/index.ts'

/** A database as statements are written for it. */
export type Dialected = Pick<SqlDatabase, 'dialect' | 'table'>

/** The types of a field of a JSON list, as each database calls them. */
const TYPES = {
  text: { postgres: 'text', mysql: 'LONGTEXT CHARACTER SET utf8mb4' },
  ascii: { postgres: 'text', mysql: 'LONGTEXT CHARACTER SET ascii' },
  number: { postgres: 'bigint', mysql: 'BIGINT' },
} as const

/**
 * A JSON list of objects as rows, `j`, from one parameter: the first one on PostgreSQL. `j.n` is the place in the list. It is sent
 * as text: the package `postgres` would write a parameter of type JSON as JSON once more.
 */
export function jsonRows(
  { dialect }: Dialected,
  fields: Readonly<Record<string, keyof typeof TYPES>>,
): string {
  const names = Object.entries(fields)
  switch (dialect) {
    case 'postgres': {
      const columns = names.map(([name, type]) => `${name} ${TYPES[type].postgres}`).join(', ')
      const words = names.map(([name]) => name).join(', ')
      return `ROWS FROM (json_to_recordset($1::text::json) AS (${columns})) WITH ORDINALITY AS j(${words}, n)`
    }
    case 'mysql': {
      const columns = names.map(([name, type]) => `${name} ${TYPES[type].mysql} PATH '$.${name}'`).join(', ')
      return `JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (n FOR ORDINALITY, ${columns})) AS j`
    }
    default: {
      const columns = names.map(([name]) => `json_extract(value, '$.${name}') AS ${name}`).join(', ')
      return `(SELECT key AS n, ${columns} FROM json_each(?)) AS j`
    }
  }
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
  return dialect === 'mysql' ? asciiJson(list) : JSON.stringify(list)
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
