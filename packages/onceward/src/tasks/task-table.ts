import {
  type JsonFields,
  jsonRows,
  NOW_MS,
  type SqlDatabase,
  type SqlStatement,
} from '../drivers/database/index.ts'
import { named } from '../drivers/pg/index.ts'
import type { SqlDialect } from '../drivers/sql/index.ts'
import { TASK_COLUMNS } from './task-record.ts'

/** What all statements on tasks are made of. */
export interface TaskTable {
  readonly dialect: SqlDialect
  /** The table, with its schema. */
  readonly table: string
  /** A function of the migration, with its schema. PostgreSQL only. */
  routine(name: string): string
  /** The server's time in ms. */
  readonly now: string
  /** The columns of a task, of the alias `o`, as they are read. */
  readonly columns: string
  /** Their names. */
  readonly names: readonly string[]
  rows(fields: JsonFields, parameter?: number): string
  /** A parameter of a type of PostgreSQL. */
  parameter(index: number, type: string): string
  /** A number or an id as it is read. */
  read(expression: string, name: string): string
  /** A statement that is not worth preparing, or whose plan must follow the size of the table. */
  plain(text: string, columns?: readonly string[]): SqlStatement
  /** One that is prepared. */
  prepared(word: string, text: string, columns?: readonly string[]): SqlStatement
}

/** The words that a dialect has for the same thing. */
export function byDialect(
  { dialect }: Pick<TaskTable, 'dialect'>,
  texts: Readonly<Record<SqlDialect, string>>,
): string {
  return texts[dialect]
}

/** The table of tasks in a database. */
export function taskTable(database: Pick<SqlDatabase, 'dialect' | 'table'>): TaskTable {
  const { dialect } = database
  const isPostgres = dialect === 'postgres'
  const read = (expression: string, name: string) =>
    `${isPostgres ? `(${expression})::text` : expression} AS ${name}`
  return {
    dialect,
    table: database.table('onceward_tasks'),
    routine: (name) => database.table(name),
    now: NOW_MS[dialect],
    columns: TASK_COLUMNS.map(([column, name]) => read(`o.${column}`, name)).join(', '),
    names: TASK_COLUMNS.map(([, name]) => name),
    rows: (fields, parameter) => jsonRows(dialect, fields, parameter === undefined ? {} : { parameter }),
    parameter: (index, type) => (isPostgres ? `$${index}::${type}` : '?'),
    read,
    plain: (text, columns = []) => ({ text, columns }),
    prepared: (word, text, columns = []) =>
      isPostgres ? named(`task_${word}`, text, columns) : { text, columns },
  }
}
