export { createLocks } from './create-locks.ts'
export type * from './lock-backend.ts'
export { LOCKS_CHANNEL } from './lock-events.ts'
export type * from './lock-types.ts'
