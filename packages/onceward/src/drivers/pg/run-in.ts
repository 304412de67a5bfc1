import type { SqlSession } from '../sql/index.ts'
import type { PgAnswer, Run } from './pg-driver.ts'

/** Runs statements in a session: whatever the driver or the ORM makes of rows, columns are found by their names. */
export function runIn(session: SqlSession): Run {
  return async ({ text, columns }, values): Promise<PgAnswer> => {
    const { rows, affected } = await session.query(text, values)
    return { rows: rows.map((row) => columns.map((column) => asText(row[column]))), affected }
  }
}

/** Every column is cast to text by its statement; only text is answered, or nothing. */
function asText(value: unknown): string | null {
  return value === null || value === undefined
    ? null
    : typeof value === 'string'
      ? value
      : JSON.stringify(value)
}
