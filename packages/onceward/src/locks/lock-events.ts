import { channel } from 'node:diagnostics_channel'
import { tell } from '../core/observer.ts'
import type { LockEvent, LockObserver } from './lock-types.ts'

/** The name of the diagnostics channel. Its events hold keys of locks. */
export const LOCKS_CHANNEL = 'onceward:locks'

/** Tells of one event. */
export type EmitLock = (
  type: LockEvent['type'],
  key: string,
  details?: Omit<LockEvent, 'type' | 'key'>,
) => void

/** Sends events to the observer and to the diagnostics channel; builds nothing when nobody listens. */
export function createLockEmitter(observer: LockObserver | undefined): EmitLock {
  const diagnostics = channel(LOCKS_CHANNEL)
  return (type, key, details) => {
    if (observer === undefined && !diagnostics.hasSubscribers) return
    const event: LockEvent = { type, key, ...details }
    if (diagnostics.hasSubscribers) diagnostics.publish(event)
    tell(observer, event)
  }
}
