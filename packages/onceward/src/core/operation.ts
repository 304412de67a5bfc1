/**
 * The words of this file, used everywhere the same:
 *
 * - **operation**: one logical act that must take effect once, identified by scope and key.
 * - **claim**: the exclusive right to run an operation: a lease, an owner nonce and a fence.
 * - **fence**: a number that strictly increases with each claim of one key.
 * - **lease**: how long a claim holds without renewal, on the store's clock.
 * - **attempt**: 1, 2, 3… for each claim of the same operation.
 * - **outcome**: what is stored at the end: a value, a final failure, or the note that it cannot be replayed.
 * - **held**: outcome unknown: the claim lapsed or its work failed while an effect may have happened.
 */

/** What identifies an operation. Build one with `operationId`. */
export interface OperationId {
  /** What the key is unique within: a namespace and the caller. */
  readonly scope: string
  /** The idempotency key, as given or derived. */
  readonly key: string
  /** SHA-256 of the length-prefixed scope and the key, base64url (43 characters): the primary key in every store. */
  readonly digest: string
}

/** What a lapsed claim means: nobody reruns it (`hold`), or the next caller takes it over (`rerun`). */
export type OnCrash = 'hold' | 'rerun'

/** The states of a record. An absent or expired record has none. */
export type OperationState = 'running' | 'done' | 'held' | 'released'

/** Whether the effect of an operation may have happened. */
export type Effect = 'none' | 'unknown' | 'done'

/** The exclusive right to run an operation, as the store granted it. */
export interface Claim {
  readonly id: OperationId
  /** Random nonce of this claim; nobody else knows it. */
  readonly owner: string
  readonly fence: number
  readonly attempt: number
}

/** An error in the form in which it is stored. */
export interface Failure {
  readonly name: string
  readonly message: string
  readonly code?: string
  /** Whether the effect of the failed operation may have happened. */
  readonly effect: Effect
}

/** What is remembered when an operation has ended. */
export type Outcome =
  /** A value, encoded by the codec of the call. */
  | { readonly kind: 'value'; readonly value: Uint8Array }
  /** A final failure, replayed as a failure. */
  | { readonly kind: 'failure'; readonly failure: Failure }
  /** The effect happened; its value could not be stored. `note` (encoded by the codec) is what can still be told. */
  | { readonly kind: 'unreplayable'; readonly reason: string; readonly note?: Uint8Array }

/** A step (recovery point) inside an operation. */
export interface StepRecord {
  readonly name: string
  readonly state: 'started' | 'done'
  /** What a crash inside this step means. */
  readonly onCrash: OnCrash
  /** The encoded value of a finished step. */
  readonly value?: Uint8Array
}

/** One line of a record's short history. */
export interface HistoryEntry {
  /** Store time in ms since the epoch. */
  readonly at: number
  readonly event: 'claimed' | 'taken-over' | 'completed' | 'failed' | 'released' | 'held' | 'resolved'
  readonly attempt: number
  readonly fence: number
  /** Why: the hold reason, or the actor and reason of a resolve. At most {@link MAX_NOTE_CHARS} characters. */
  readonly note?: string
}

/** The most history entries one record keeps; the oldest go first. */
export const MAX_HISTORY = 16

/** The longest note or reason that is stored, in characters. */
export const MAX_NOTE_CHARS = 500

/** Everything a store remembers of one operation. All times are ms since the epoch on the store's clock. */
export interface OperationRecord {
  readonly id: OperationId
  readonly state: OperationState
  /** Digest of the input of the latest claim; absent when it was given none. */
  readonly fingerprint?: string
  readonly onCrash: OnCrash
  /** Owner of the running claim, or of the one that ended the operation; absent after a lapse or a resolve. */
  readonly owner?: string
  readonly fence: number
  readonly attempt: number
  /** When the first claim was made. */
  readonly createdAt: number
  /** When the latest transition was made. */
  readonly updatedAt: number
  /** Until when the claim holds; meaningful while `running`. */
  readonly leaseUntil: number
  /** How long the record outlives its end, in ms. */
  readonly retentionMs: number
  /** When the record is forgotten; absent while `held`, which never expires. */
  readonly expiresAt?: number
  /** Present when `done`. */
  readonly outcome?: Outcome
  /** Why nobody knows the outcome; present when `held`. */
  readonly heldReason?: string
  /** How often somebody was asked what became of it, while `held`. */
  readonly asks: number
  /** When the next one may be asked, while `held`. */
  readonly nextAskAt: number
  readonly steps: readonly StepRecord[]
  /** Callers that were turned away, or made to wait, because the operation was running or held. */
  readonly duplicates: number
  readonly history: readonly HistoryEntry[]
}
