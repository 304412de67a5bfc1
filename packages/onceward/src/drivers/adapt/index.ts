export type { AdaptedSession } from './adapted-session.ts'
export { type Joining, type JoiningOptions, joining } from './joining.ts'
export { sessionOf } from './session-of.ts'
export { sqliteHandleOf } from './sqlite-handle-of.ts'
