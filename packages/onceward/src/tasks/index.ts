export { createTasks } from './create-tasks.ts'
export { TASK_EDGES } from './task-transitions.ts'
export type * from './task-types.ts'
export type * from './worker-types.ts'
