import { asciiJson, JSON_PARAMETER, toAsciiJson } from '../mysql/index.ts'
import type { SqlDialect } from '../sql/index.ts'

/** The types that a field of rows may have, as each database calls them. SQLite takes what JSON has. */
const TYPES = {
  /** A UUID. */
  id: { postgres: 'uuid', mysql: 'CHAR(36) CHARACTER SET ascii' },
  /** ASCII of any length. */
  word: { postgres: 'text', mysql: 'LONGTEXT CHARACTER SET ascii' },
  /** Any text of up to 255 characters. */
  name: { postgres: 'text', mysql: 'VARCHAR(255) CHARACTER SET utf8mb4' },
  /** Any text of any length. */
  text: { postgres: 'text', mysql: 'LONGTEXT CHARACTER SET utf8mb4' },
  number: { postgres: 'bigint', mysql: 'BIGINT' },
} as const

/** The fields of rows that a statement is given as one JSON text, with their types. */
export type JsonFields = Readonly<Record<string, keyof typeof TYPES>>

/**
 * What stands in a statement for a parameter that is a JSON list of objects: a source of rows, named `j`. With `numbered`, `j.n`
 * is the place in the list. It is sent as text: the package `postgres` would write a parameter of type JSON as JSON once more.
 */
export function jsonRows(
  dialect: SqlDialect,
  fields: JsonFields,
  { parameter = 1, numbered = false }: { readonly parameter?: number; readonly numbered?: boolean } = {},
): string {
  const named = Object.entries(fields)
  switch (dialect) {
    case 'postgres': {
      const columns = named.map(([name, type]) => `${name} ${TYPES[type].postgres}`).join(', ')
      const list = `json_to_recordset($${parameter}::text::json) AS`
      if (!numbered) return `${list} j(${columns})`
      const names = named.map(([name]) => name).join(', ')
      return `ROWS FROM (${list} (${columns})) WITH ORDINALITY AS j(${names}, n)`
    }
    case 'mysql': {
      const columns = named.map(([name, type]) => `${name} ${TYPES[type].mysql} PATH '$.${name}'`)
      const all = [...(numbered ? ['n FOR ORDINALITY'] : []), ...columns].join(', ')
      return `JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (${all})) AS j`
    }
    case 'sqlite': {
      const columns = named.map(([name]) => `json_extract(value, '$.${name}') AS ${name}`)
      return `(SELECT ${[...(numbered ? ['key AS n'] : []), ...columns].join(', ')} FROM json_each(?)) AS j`
    }
  }
}

/** Writes rows as that parameter. */
export function jsonRowsText(dialect: SqlDialect, rows: readonly object[]): string {
  return dialect === 'mysql' ? asciiJson(rows) : JSON.stringify(rows)
}

/** The same where words hold JSON that may not be ASCII yet, as their columns of MySQL want it: it means the same. */
export function jsonRowsTextOf(
  dialect: SqlDialect,
  fields: JsonFields,
  rows: readonly Readonly<Record<string, unknown>>[],
): string {
  if (dialect !== 'mysql') return jsonRowsText(dialect, rows)
  const words = Object.keys(fields).filter((name) => fields[name] === 'word')
  const ascii = rows.map((row) => {
    const copy: Record<string, unknown> = { ...row }
    for (const word of words) {
      const value = copy[word]
      if (typeof value === 'string') copy[word] = toAsciiJson(value)
    }
    return copy
  })
  return asciiJson(ascii)
}
