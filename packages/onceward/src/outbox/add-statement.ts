import type { SqlStatement } from '../drivers/database/index.ts'
import { type Dialected, listRows, now, statement } from './sql-of.ts'

/** Adds events in the order of the list, so that `seq` is drawn in that order. */
export function addStatement(database: Dialected): SqlStatement {
  const rows = listRows(database, {
    id: 'word',
    topic: 'text',
    k: 'text',
    lane: 'word',
    format: 'word',
    payload: database.dialect === 'mysql' ? 'word' : 'text',
    headers: 'word',
  })
  return statement(
    'add',
    `INSERT INTO ${database.table('onceward_outbox')}
  (id, topic, event_key, lane, format, payload, headers, state, attempts, created_at)
  SELECT j.id, j.topic, j.k, j.lane, j.format, j.payload, j.headers, 'ready', 0, ${now(database)}
  FROM ${rows} ORDER BY j.n`,
  )
}
