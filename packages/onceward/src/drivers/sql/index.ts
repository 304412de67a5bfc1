export { conflictOf, sqlStateOf } from './conflict.ts'
export { type Change, type Decided, decideBatch, type Found, type Undecided } from './decide-batch.ts'
export { type Gatherer, type Gathering, gatherer, type Waiting } from './gather.ts'
export {
  type LockedBatches,
  type LockedBatching,
  type LockedRecords,
  lockedBatches,
} from './locked-batches.ts'
export { type Mark, type Polling, type PollWatch, pollWatch } from './poll-watch.ts'
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
export { type Retrying, retrying } from './retrying.ts'
export type { SqlDialect, SqlResult, SqlSession, SqlValue } from './sql-session.ts'
