export { type Gatherer, type Gathering, gatherer, type Waiting } from './gather.ts'
export {
  APPENDABLE_ATTEMPTS,
  columnText,
  fitsColumn,
  fromColumns,
  outcomeColumns,
  RECORD_COLUMNS,
  type RecordColumns,
  type Row,
  toColumns,
} from './record-columns.ts'
export type { SqlDialect, SqlResult, SqlSession, SqlValue } from './sql-session.ts'
