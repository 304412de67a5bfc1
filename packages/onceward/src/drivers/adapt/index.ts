export { type Joining, joining } from './joining.ts'
export { sqliteHandleOf } from './sqlite-handle-of.ts'
