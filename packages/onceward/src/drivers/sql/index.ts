export { type Gatherer, type Gathering, gatherer, type Waiting } from './gather.ts'
export { fromColumns, type Row } from './read-columns.ts'
export {
  APPENDABLE_ATTEMPTS,
  columnText,
  fitsColumn,
  outcomeColumns,
  RECORD_COLUMNS,
  type RecordColumns,
  toColumns,
} from './record-columns.ts'
export type { SqlDialect, SqlResult, SqlSession, SqlValue } from './sql-session.ts'
