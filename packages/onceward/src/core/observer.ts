import { channel } from 'node:diagnostics_channel'
import { isPromise } from './is-promise.ts'
import type { OperationId } from './operation.ts'

/** What happened, as observers and the diagnostics channel `onceward` are told. Keys appear as the digest of the operation only. */
export interface OnceEvent {
  readonly type:
    | 'claimed'
    | 'taken-over'
    | 'executed'
    | 'replayed'
    | 'coalesced'
    | 'waiting'
    | 'rejected'
    | 'reused'
    | 'released'
    | 'failed'
    | 'held'
    | 'reconciled'
    | 'reconcile-unknown'
    | 'claim-lost'
    | 'renew-failed'
    | 'not-stored'
    | 'not-replayable'
    | 'volatile-key'
    /** `deriveKey` of a middleware threw: there is no operation, and `digest` is empty. On the channel only. */
    | 'key-not-derived'
    /** A dedupe was given an item that was seen before; `digest` is that of the item. */
    | 'suppressed'
    /** A tiered store has stopped asking its cache, or asks it again; about no operation, so `digest` is empty. */
    | 'cache-opened'
    | 'cache-closed'
  readonly scope: string
  /** Digest of the operation; empty where there is none yet. */
  readonly digest: string
  readonly attempt?: number
  readonly fence?: number
  /** How long it took, in ms, where the event ends something. */
  readonly durationMs?: number
  /** For a person; never holds a key, an input or a result. */
  readonly message?: string
  readonly error?: unknown
}

/** Is told what happens. It must not throw; what it throws is dropped. */
export type Observer = (event: OnceEvent) => void

/** The name of the diagnostics channel. */
export const CHANNEL = 'onceward'

/** Sends events to the observer and to the diagnostics channel; builds nothing when nobody listens. */
export function createEmitter(observer: Observer | undefined): Emit {
  const diagnostics = channel(CHANNEL)
  return (type, id, details) => {
    if (observer === undefined && !diagnostics.hasSubscribers) return
    const event: OnceEvent = { type, scope: id.scope, digest: id.digest, ...details }
    if (diagnostics.hasSubscribers) diagnostics.publish(event)
    tell(observer, event)
  }
}

/** Tells an observer of an event. Its fault must not become the operation's: what it throws, or rejects with, is dropped. */
export function tell<Event>(observer: ((event: Event) => unknown) | undefined, event: Event): void {
  try {
    const answer = observer?.(event)
    if (isPromise(answer)) answer.then(undefined, () => {})
  } catch {
    // Dropped.
  }
}

/** Emits one event about an operation. */
export type Emit = (
  type: OnceEvent['type'],
  id: OperationId,
  details?: Omit<OnceEvent, 'type' | 'scope' | 'digest'>,
) => void
