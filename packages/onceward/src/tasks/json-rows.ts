import { asciiJson, toAsciiJson } from '../drivers/mysql/index.ts'
import type { SqlDialect } from '../drivers/sql/index.ts'

/** A field of rows that a statement is given as one JSON text. */
export interface JsonField {
  readonly name: string
  /** `id` is a UUID, `word` is ASCII, `name` is any text that callers choose. */
  readonly kind: 'id' | 'word' | 'name' | 'number'
}

const POSTGRES: Readonly<Record<JsonField['kind'], string>> = {
  id: 'uuid',
  word: 'text',
  name: 'text',
  number: 'bigint',
}

const MYSQL: Readonly<Record<JsonField['kind'], string>> = {
  id: 'CHAR(36) CHARACTER SET ascii',
  word: 'LONGTEXT CHARACTER SET ascii',
  name: 'VARCHAR(255) CHARACTER SET utf8mb4',
  number: 'BIGINT',
}

/** What stands for a parameter that is a JSON list of objects with these fields: a source of rows, named `j`. */
export function jsonRows(dialect: SqlDialect, fields: readonly JsonField[], parameter = 1): string {
  switch (dialect) {
    case 'postgres': {
      const typed = fields.map(({ name, kind }) => `${name} ${POSTGRES[kind]}`)
      return `json_to_recordset($${parameter}::text::json) AS j(${typed.join(', ')})`
    }
    case 'mysql': {
      const typed = fields.map(({ name, kind }) => `${name} ${MYSQL[kind]} PATH '$.${name}'`)
      return `JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (${typed.join(', ')})) AS j`
    }
    case 'sqlite': {
      const named = fields.map(({ name }) => `json_extract(value, '$.${name}') AS ${name}`)
      return `(SELECT ${named.join(', ')} FROM json_each(?)) AS j`
    }
  }
}

/** Writes rows as that text. */
export function rowsText(
  dialect: SqlDialect,
  fields: readonly JsonField[],
  rows: readonly Readonly<Record<string, unknown>>[],
): string {
  if (dialect !== 'mysql') return JSON.stringify(rows)
  // What is in a column of words has to be ASCII itself; it is JSON, so it means the same.
  const words = fields.filter(({ kind }) => kind === 'word').map(({ name }) => name)
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
