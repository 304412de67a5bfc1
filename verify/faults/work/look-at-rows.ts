import type { Row, WorkDatabase } from './work-database.ts'
import type { WorkHistory } from './work-events.ts'

/** Notes the rows that the user has written in transactions. */
export async function lookAtRows(main: WorkDatabase, trial: string, log: WorkHistory): Promise<void> {
  const found = await insisting(() =>
    main.query('SELECT call_id, item FROM work_rows WHERE trial = ?', [trial]),
  )
  for (const row of found) log.note({ k: 'row', call: word(row, 'call_id'), item: word(row, 'item') })
}

/** Connections that broke with the server are found out one by one. */
export async function insisting<T>(make: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await make()
    } catch (error) {
      if (tries >= 10) throw error
    }
  }
}

/** A column as text; empty where there is nothing. */
export function word(row: Row, name: string): string {
  const value = row[name]
  return value === null || value === undefined ? '' : String(value)
}
