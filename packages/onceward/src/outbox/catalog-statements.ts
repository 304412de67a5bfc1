import type { SqlStatement } from '../drivers/database/index.ts'
import { EVENT_COLUMNS, eventColumns } from './event-columns.ts'
import { column, type Dialected, exactly, listRows, now, parameter, statement } from './sql-of.ts'

/** What people and programs ask about the outbox. */
export interface CatalogStatements {
  /** An id. */
  readonly get: SqlStatement
  /** A position, then the limit; in between the state, the topic or both, by their names. */
  readonly list: Readonly<Record<'all' | 'state' | 'topic' | 'both', SqlStatement>>
  readonly stats: SqlStatement
  /** A list of `{ id }`. */
  readonly deadById: SqlStatement
  /** The limit. */
  readonly dead: SqlStatement
  /** A topic, the limit. */
  readonly deadOfTopic: SqlStatement
  /** A list of `{ seq, history }`. */
  readonly redrive: SqlStatement
  /** A list of `{ id }`. */
  readonly discard: SqlStatement
  /** The limit. */
  readonly purge: SqlStatement
}

/** Writes them. */
export function catalogStatements(database: Dialected): CatalogStatements {
  const { dialect } = database
  const table = database.table('onceward_outbox')
  const time = now(database)
  const ids = listRows(database, { id: 'word' })
  const read = eventColumns(database)
  const ofId = dialect === 'mysql' ? 'CONVERT(? USING ascii)' : parameter(database, 1, 'text')
  const lock = { postgres: ' FOR UPDATE OF o', mysql: ' FOR UPDATE', sqlite: '' }[dialect]
  const skipLocked = dialect === 'sqlite' ? '' : ' FOR UPDATE SKIP LOCKED'
  const text = (index: number) =>
    dialect === 'mysql' ? 'CONVERT(? USING utf8mb4)' : parameter(database, index, 'text')
  const topicIs = (index: number) => `${exactly(database, 'o.topic')} = ${exactly(database, text(index))}`
  const list = (word: string, ...conditions: readonly string[]) =>
    statement(
      `list_${word}`,
      `SELECT ${read} FROM ${table} AS o WHERE o.seq > ${parameter(database, 1, 'bigint')}${conditions.join('')}
  ORDER BY o.seq LIMIT ${parameter(database, conditions.length + 2, 'bigint')}`,
      EVENT_COLUMNS,
    )
  const deadColumns = ['seq', 'history', 'attempts', 'now']
  const deadRead = `${column(database, 'o.seq', 'seq')}, ${column(database, 'o.history', 'history')},
  ${column(database, 'o.attempts', 'attempts')}, ${column(database, time, 'now')}`
  const redriven = listRows(database, { seq: 'number', history: 'word' })
  const again = (to: string) =>
    `${to}state = 'ready', ${to}stops = NULL, ${to}owner = NULL, ${to}until = NULL, ${to}attempts = 0, ${to}history = j.history`
  return {
    get: statement('get', `SELECT ${read} FROM ${table} AS o WHERE o.id = ${ofId}`, EVENT_COLUMNS),
    list: {
      all: list('all'),
      state: list('state', ` AND o.state = ${text(2)}`),
      topic: list('topic', ` AND ${topicIs(2)}`),
      both: list('both', ` AND o.state = ${text(2)}`, ` AND ${topicIs(3)}`),
    },
    stats: statement(
      'stats',
      `SELECT o.state AS state, ${column(database, 'COUNT(*)', 'events')}, ${column(database, 'COUNT(o.stops)', 'stopping')},
  ${column(database, 'MIN(o.created_at)', 'oldest')}, ${column(database, `${time}`, 'now')}
  FROM ${table} AS o GROUP BY o.state`,
      ['state', 'events', 'stopping', 'oldest', 'now'],
    ),
    deadById: statement(
      'dead_by_id',
      `SELECT ${deadRead} FROM ${table} AS o WHERE o.id IN (SELECT j.id FROM ${ids}) AND o.state = 'dead' ORDER BY o.seq${lock}`,
      deadColumns,
    ),
    dead: statement(
      'dead',
      `SELECT ${deadRead} FROM ${table} AS o WHERE o.state = 'dead' ORDER BY o.seq LIMIT ${parameter(database, 1, 'bigint')}${lock}`,
      deadColumns,
    ),
    deadOfTopic: statement(
      'dead_of_topic',
      `SELECT ${deadRead} FROM ${table} AS o WHERE o.state = 'dead' AND ${topicIs(1)}
  ORDER BY o.seq LIMIT ${parameter(database, 2, 'bigint')}${lock}`,
      deadColumns,
    ),
    redrive: statement(
      'redrive',
      dialect === 'mysql'
        ? `UPDATE ${redriven} STRAIGHT_JOIN ${table} AS o ON o.seq = j.seq SET ${again('o.')} WHERE o.state = 'dead'`
        : `UPDATE ${table} AS o SET ${again('')} FROM ${redriven} WHERE o.seq = j.seq AND o.state = 'dead'`,
    ),
    discard: statement(
      'discard',
      dialect === 'mysql'
        ? `DELETE o FROM ${ids} STRAIGHT_JOIN ${table} AS o ON o.id = j.id WHERE o.state = 'dead'`
        : `DELETE FROM ${table} WHERE id IN (SELECT j.id FROM ${ids}) AND state = 'dead'`,
    ),
    purge: statement(
      'purge',
      dialect === 'mysql'
        ? `DELETE FROM ${table} WHERE state = 'sent' AND until <= ${time} ORDER BY until LIMIT ?`
        : `DELETE FROM ${table} WHERE seq IN (SELECT o.seq FROM ${table} AS o WHERE o.state = 'sent' AND o.until <= ${time}
  ORDER BY o.until LIMIT ${parameter(database, 1, 'bigint')}${skipLocked})`,
    ),
  }
}
