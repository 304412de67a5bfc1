export { createOutbox } from './create-outbox.ts'
export type * from './outbox-types.ts'
export type * from './relay-types.ts'
