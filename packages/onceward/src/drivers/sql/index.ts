export { conflictOf, sqlStateOf } from './conflict.ts'
export { type Change, decideBatch, type Found } from './decide-batch.ts'
export { type Gatherer, gatherer, type Waiting } from './gather.ts'
export { type LockedRecords, lockedBatches } from './locked-batches.ts'
export { type Mark, pollWatch } from './poll-watch.ts'
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
export { retrying } from './retrying.ts'
export type { SqlDialect, SqlResult, SqlSession, SqlValue } from './sql-session.ts'
