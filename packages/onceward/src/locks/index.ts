export type { ColumnValue, ColumnValues } from '../drivers/sql/index.ts'
export { createLocks } from './create-locks.ts'
export type * from './cron-types.ts'
export type { BatchPosition, IdPage } from './delete-batches.ts'
export {
  type DeleteCounts,
  type DeleteProgress,
  type DeletionInSegments,
  deleteInSegments,
} from './delete-in-segments.ts'
export {
  type FenceableResource,
  type Fenced,
  type FencedState,
  type FencedWrite,
  fenced,
} from './fenced.ts'
export { type FencedRedis, type FencedRedisOptions, fencedRedis } from './fenced-redis.ts'
export { type FencedRowUpdate, fencedRow } from './fenced-row.ts'
export type * from './lock-backend.ts'
export { LOCKS_CHANNEL } from './lock-events.ts'
export type * from './lock-types.ts'
export {
  type FiredContext,
  type OneInstanceOptions,
  OnOneInstance,
  type OnOneInstanceOptions,
  onOneInstance,
} from './on-one-instance.ts'
export { type SafeDeleted, type SafeDeletion, safeDelete } from './safe-delete.ts'
