export { createInbox } from './create-inbox.ts'
export type * from './inbox-types.ts'
export * from './webhooks/index.ts'
export * from './wrappers/index.ts'
