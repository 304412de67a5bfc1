export type { JobOptions } from './once-delivered.ts'
export * from './once-processor.ts'
export * from './once-task.ts'
export * from './once-work.ts'
