export { type Joining, joining } from './joining.ts'
export { sessionOf } from './session-of.ts'
export { sqliteHandleOf } from './sqlite-handle-of.ts'
