export type { Clock, Random, Timers } from './clock.ts'
export { type Codec, Unstorable } from './codec.ts'
export { createOnce } from './create-once.ts'
export { deriveKey, type Key, type KeyOptions } from './derive-key.ts'
export {
  ERRORS,
  type ErrorCode,
  type ErrorEntry,
  isOncewardError,
  OncewardError,
  type OncewardErrorOptions,
} from './errors.ts'
export { callerScope, MAX_KEY_BYTES, MAX_SCOPE_BYTES, operationId } from './identity.ts'
export { CHANNEL, type Observer, type OnceEvent } from './observer.ts'
export type * from './once-types.ts'
export type * from './operation.ts'
export type { MarkRequest, SeenItems } from './seen-items.ts'
export type * from './store.ts'
export { valueCodec } from './value-codec.ts'
export { finalFailure, noEffect } from './verdict.ts'
export type { VolatileField } from './volatile-fields.ts'
