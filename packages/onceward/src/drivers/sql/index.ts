export { answerReads } from './answer-reads.ts'
export { conflictOf, sqlStateOf } from './conflict.ts'
export { copyOfOutcome, copyOfStep } from './copy-of-outcome.ts'
export type { Change, Found } from './decide-batch.ts'
export { endedBeforeThrow } from './ended-before-throw.ts'
export { type Gatherer, gatherer, type Load, type Waiting } from './gather.ts'
export { type LockedRecords, lockedBatches } from './locked-batches.ts'
export { type Mark, pollWatch } from './poll-watch.ts'
export { fromColumns, type Row } from './read-columns.ts'
export {
  columnText,
  fitsColumn,
  outcomeColumns,
  RECORD_COLUMNS,
  type RecordColumns,
  toColumns,
} from './record-columns.ts'
export { retrying } from './retrying.ts'
export type { SqlDialect, SqlResult, SqlSession, SqlValue } from './sql-session.ts'
export {
  assignments,
  type ColumnValue,
  type ColumnValues,
  columnName,
  equalities,
  isPlainObject,
  type Parameters,
  parameters,
  tableName,
} from './user-columns.ts'
