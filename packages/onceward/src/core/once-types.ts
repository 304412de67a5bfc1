import type { Clock, Random, Timers } from './clock.ts'
import type { Codec } from './codec.ts'
import type { Key } from './derive-key.ts'
import type { Observer } from './observer.ts'
import type { OnCrash, OperationId, OperationRecord } from './operation.ts'
import type { CacheLimits } from './outcome-cache.ts'
import type { OperationCatalog, OperationStore, TransactionalStore } from './store.ts'

/** What happens when the work throws and has not said whether its effect happened. */
export type OnError = 'hold' | 'release' | 'store'

/** What a duplicate does while another caller runs the operation. */
export type WhenRunning = 'wait' | 'reject'

/** What can be set per instance, and again per call. */
export interface OperationPolicy {
  /** How long a claim holds without renewal, in ms on the store's clock. It is renewed every third of it. Default 30,000; at least 20. */
  readonly leaseMs?: number
  /** How long a finished operation is remembered, in ms from its end. Default 86,400,000 (a day). */
  readonly retentionMs?: number
  /** What a crash, or a pause past the lease, means: nobody reruns it (`hold`, the default) or the next caller does (`rerun`). */
  readonly onCrash?: OnCrash
  /** What an unmarked throw of the work means. Default: `hold` with `onCrash: 'hold'`, `release` with `onCrash: 'rerun'`. */
  readonly onError?: OnError
  /** Whether a duplicate of a running operation waits for its outcome (the default) or is turned away at once. */
  readonly whenRunning?: WhenRunning
  /** How long a duplicate waits at most, in ms. Default 30,000. */
  readonly waitMs?: number
  /** Turns values into bytes and back. Default: {@link valueCodec}. */
  readonly codec?: Codec
  /** The largest encoded value that is stored, in bytes. A larger one is done, not replayable. Default 1,048,576. */
  readonly maxValueBytes?: number
  /** Decides what is stored in place of a value or an error that must not rest in the store. Default: what it is. */
  readonly redact?: Redact
  /** Asked what became of a held operation, by one asker at a time, with back-off. Its answer is an audited resolve. */
  readonly reconcile?: Reconcile
  /** How long one question to `reconcile` may take, in ms. Default 10,000. */
  readonly reconcileTimeoutMs?: number
}

/** What `redact` is told of that which is about to be stored. */
export interface RedactContext {
  readonly id: OperationId
  /** What the work (or `reconcile`) answered, what a step answered, or what was thrown (or given as failed). */
  readonly kind: 'value' | 'step' | 'error'
  /** The name of the step. */
  readonly step?: string
}

/**
 * Answers what is stored in place of `found`: a value for a value or a step, an error (or its message) for an error.
 * The caller that ran the work gets the full value or error; every duplicate gets what was stored, and so does the
 * next attempt of a step.
 *
 * Limits: it answers at once, without a promise, and leaves `found` itself as it is. Where it throws, nothing is stored
 * of the value: the operation is done and cannot be replayed. It is never run again for that.
 */
export type Redact = (found: unknown, about: RedactContext) => unknown

/** Options of `createOnce`. */
export interface OnceOptions extends OperationPolicy {
  /** Remembers the operations. It stays open when the instance is closed. Its catalog is needed by `heal` only. */
  readonly store: OperationStore & Partial<OperationCatalog>
  /** What keys are unique within, for example `payments`. A call can name a narrower one. */
  readonly scope: string
  /** Finished outcomes kept in this process, so that a repeated replay asks no store. `false` keeps none. */
  readonly cache?: false | CacheLimits
  /** Is told what happens; the same events are published on `node:diagnostics_channel`. */
  readonly observer?: Observer
  /** How long the store may leave a claim unanswered before the caller gets `STORE_UNAVAILABLE`, in ms. Default 10,000. */
  readonly storeTimeoutMs?: number
  /** Reads the time. Default: this machine's. Leases count on the store's clock all the same. */
  readonly clock?: Clock
  /** Waits. Default: the timers of this process. */
  readonly timers?: Timers
  /** Draws nonces and jitter. Default: the operating system's randomness. */
  readonly random?: Random
}

/** One call of an operation. */
export interface Call extends OperationPolicy {
  /** Text, or fields from which a key is derived (see `deriveKey`). */
  readonly key: Key
  /** Same key with another input is a reuse and is refused. Taken as it is now: changing it later changes nothing. */
  readonly input?: unknown
  /** Replaces the scope of the instance for this call. */
  readonly scope?: string
  /** Paths of key fields that look volatile and are meant, such as `createdAt`: they are not warned about. */
  readonly allowVolatile?: readonly string[]
  /** Stops waiting. Work that has begun is not stopped by it. */
  readonly signal?: AbortSignal
}

/** What the work is given. */
export interface Operation {
  /** Scope, key and their digest. For logs, print the digest only. */
  readonly id: OperationId
  /** What the key is unique within. */
  readonly scope: string
  /** The key, as given or derived. */
  readonly key: string
  /** Strictly increases with each claim of this key: hand it to resources that can refuse a smaller one. */
  readonly fence: number
  /** 1 for the first claim of this operation, 2 for the next… */
  readonly attempt: number
  /** Whether an earlier claim lapsed, so that parts of the work may have happened already. */
  readonly takenOver: boolean
  /**
   * Aborts with `CLAIM_LOST` at this process's own deadline, which lies before the lease ends on the store's clock,
   * whether or not the store can be reached. Reading it after the event loop was blocked tells the truth too.
   */
  readonly signal: AbortSignal
  /**
   * Runs a part of the work once: a later attempt gets the stored value of a finished step.
   *
   * Limit: a crash inside the step means what `onCrash` says (default: that of the call): the operation is held, or the
   * step runs again.
   *
   * @param name - Unique within one attempt, and the same in every attempt.
   * @throws `CLAIM_LOST`, `OUTCOME_NOT_STORED`, `OUTCOME_NOT_REPLAYABLE`; `TypeError` for a name that was used already.
   */
  step<T>(name: string, fn: () => T | Promise<T>, options?: { readonly onCrash?: OnCrash }): Promise<T>
  /** A key for an external system, the same on every attempt and another for every operation and `system`. 43 characters. */
  downstreamKey(system: string): string
}

/**
 * What the work of a transaction is given: no steps, because all of it commits or none. Its `attempt` counts every run of
 * the work: a store whose server has found a deadlock rolls back and runs the work again, whole. Its `signal` aborts once
 * this run of the work is rolled back.
 */
export type TransactionOperation = Omit<Operation, 'step'>

/** What `attempt` answers: expected outcomes are values. */
export type AttemptReply<T> =
  /** This caller ran the work. `expiresInMs` tells how long the outcome is remembered. */
  | {
      readonly outcome: 'executed'
      readonly value: T
      readonly id: OperationId
      readonly expiresInMs: number
    }
  /** The stored outcome of an earlier or concurrent caller, as a fresh copy. */
  | {
      readonly outcome: 'replayed'
      readonly value: T
      readonly id: OperationId
      readonly expiresInMs: number
    }
  /** Another caller is still running it. */
  | { readonly outcome: 'running'; readonly id: OperationId; readonly retryAfterMs: number }
  /** Its outcome is unknown; it waits to be reconciled. */
  | { readonly outcome: 'held'; readonly id: OperationId; readonly reason: string }
  /** The key belongs to another input. */
  | { readonly outcome: 'reused'; readonly id: OperationId }

/** A held operation, as `reconcile` is asked about it. */
export interface HeldOperation {
  /** Scope, key and their digest. */
  readonly id: OperationId
  /** What the key is unique within. */
  readonly scope: string
  /** The key, as given or derived. */
  readonly key: string
  /** The fence of the claim whose outcome is unknown. */
  readonly fence: number
  /** The attempt whose outcome is unknown. */
  readonly attempt: number
  /** Why nobody knows the outcome. */
  readonly reason: string
  /** How many times somebody has been asked before. */
  readonly asks: number
  /** The input, where the caller that found it held has given one. */
  readonly input?: unknown
  /** Aborts when the answer would come too late. */
  readonly signal: AbortSignal
  /** The key under which the external system may know it. */
  downstreamKey(system: string): string
}

/** What became of a held operation. */
export type Reconciliation =
  /** It took effect: duplicates get `value`. */
  | { readonly outcome: 'done'; readonly value: unknown }
  /** It failed for good, without effect: duplicates get `OPERATION_FAILED` with `error` as its cause. */
  | { readonly outcome: 'failed'; readonly error: Error }
  /** Nothing happened: the operation is released and may run again. */
  | { readonly outcome: 'not-happened' }
  /** Still unknown: it stays held and is asked about again later. */
  | { readonly outcome: 'unknown' }

/** Tells what became of a held operation. A throw counts as `unknown`. */
export type Reconcile = (operation: HeldOperation) => Promise<Reconciliation> | Reconciliation

/** Runs operations once. */
export interface Once {
  /** The store that was given. */
  readonly store: OperationStore & Partial<OperationCatalog>
  /** The scope of calls that name none. */
  readonly scope: string
  /**
   * Runs `fn` once for the key; later calls get its stored outcome, as a fresh copy.
   *
   * Limit: a crash between an external effect of `fn` and the storing of its outcome leaves the operation held, or
   * reruns it with `onCrash: 'rerun'`. Use `transaction` where the effect is in the same database.
   *
   * @throws `KEY_REUSED`, `IN_PROGRESS`, `OUTCOME_UNKNOWN`, `OPERATION_FAILED`, `OUTCOME_NOT_REPLAYABLE`, `CLAIM_LOST`,
   * `OUTCOME_NOT_STORED`, `RECORD_CORRUPT`, `REENTRANT`, `ABORTED`, `CLOSED`, errors of the store, and what `fn` throws
   * where that is not stored. `effect` of the error tells whether anything may have happened.
   */
  run<T>(call: Call, fn: (op: Operation) => T | Promise<T>): Promise<T>
  /** Like `run`, and answers `running`, `held` and `reused` instead of throwing. */
  attempt<T>(call: Call, fn: (op: Operation) => T | Promise<T>): Promise<AttemptReply<T>>
  /**
   * Runs `fn` in one database transaction with the record and the outcome: all of it commits, or nothing.
   *
   * A deadlock or a serialization failure rolls it back and runs `fn` again, from its beginning, a few times;
   * `op.attempt` tells. A concurrent duplicate waits until this transaction has ended, then replays or runs.
   *
   * Limit: only what `fn` writes on `tx` is part of it. The store must be able to (capability `transactional`). Work that ends the
   * transaction itself is told so by a `TypeError`, or by `OUTCOME_UNKNOWN` where it throws afterwards: too late to be undone.
   *
   * @throws as `run` does; `STORE_UNAVAILABLE` with effect unknown where the connection broke during COMMIT and the
   * store could not find out what became of it: the next call with this key does; `TypeError` for a store that cannot
   * join a transaction.
   */
  transaction<T, Tx = unknown>(
    call: Call,
    fn: (tx: Tx, op: TransactionOperation) => T | Promise<T>,
  ): Promise<T>
  /**
   * Runs `fn` inside a transaction that the caller has begun and will commit. A throw undoes only what `fn` wrote.
   *
   * Limit: it waits for another transaction on this key until that ends, at most for the lock timeout of the store, and
   * never for a `run`, whatever `whenRunning` says: that would hold the caller's locks. A deadlock or a serialization
   * failure is thrown: the transaction is the caller's, who rolls it back and runs all of it again.
   *
   * @throws as `transaction` does; `TypeError` for a `tx` on which no transaction is open.
   */
  within<T, Tx = unknown>(tx: Tx, call: Call, fn: (op: TransactionOperation) => T | Promise<T>): Promise<T>
  /** Like `within`, for synchronous drivers: returns the value itself and throws, so that the caller can still roll back. */
  withinSync<T, Tx = unknown>(tx: Tx, call: Call, fn: (op: TransactionOperation) => T): T
  /** Reads the record of a key; `undefined` for one that was never used or is forgotten. @throws errors of the store. */
  get(key: Key, options?: { readonly scope?: string }): Promise<OperationRecord | undefined>
  /** Turns lapsed claims of this store into held ones and asks `reconcile` about the held ones of this scope. Answers how many it settled. @throws `TypeError` for a store without a catalog. */
  heal(): Promise<{ readonly swept: number; readonly settled: number }>
  /** Starts nothing new, lets what runs finish, and resolves then. The store stays open: it was given, not opened here. */
  close(): Promise<void>
}

/** A store that `transaction` and `within` can use. */
export type JoinableStore<Tx> = OperationStore & TransactionalStore<Tx>
