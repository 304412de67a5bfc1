import type { Clock, Random, Timers } from './clock.ts'
import type { Codec } from './codec.ts'
import type { Key } from './derive-key.ts'
import type { Observer } from './observer.ts'
import type { OnCrash, OperationId, OperationRecord } from './operation.ts'
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
  /** Asked what became of a held operation, by one asker at a time, with back-off. Its answer is an audited resolve. */
  readonly reconcile?: Reconcile
  /** How long one question to `reconcile` may take, in ms. Default 10,000. */
  readonly reconcileTimeoutMs?: number
}

/** Options of `createOnce`. */
export interface OnceOptions extends OperationPolicy {
  readonly store: OperationStore & Partial<OperationCatalog>
  /** What keys are unique within, for example `payments`. A call can name a narrower one. */
  readonly scope: string
  /** Finished outcomes kept in this process, so that a repeated replay asks no store. `false` keeps none. */
  readonly cache?: false | { readonly maxEntries?: number; readonly maxBytes?: number }
  /** Is told what happens; the same events are published on `node:diagnostics_channel`. */
  readonly observer?: Observer
  /** How long the store may leave a claim unanswered before the caller gets `STORE_UNAVAILABLE`, in ms. Default 10,000. */
  readonly storeTimeoutMs?: number
  readonly clock?: Clock
  readonly timers?: Timers
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
  readonly id: OperationId
  readonly scope: string
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
  /** Runs a part of the work once: a later attempt gets the stored value of a finished step. Names are unique within one attempt. */
  step<T>(name: string, fn: () => T | Promise<T>, options?: { readonly onCrash?: OnCrash }): Promise<T>
  /** A key for an external system, the same on every attempt and another for every operation and `system`. 43 characters. */
  downstreamKey(system: string): string
}

/** What the work of a transaction is given: no steps, because all of it commits or none. */
export type TransactionOperation = Omit<Operation, 'step' | 'signal'>

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
  readonly id: OperationId
  readonly scope: string
  readonly key: string
  readonly fence: number
  readonly attempt: number
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
  | { readonly outcome: 'done'; readonly value: unknown }
  | { readonly outcome: 'failed'; readonly error: Error }
  /** Nothing happened: the operation is released and may run again. */
  | { readonly outcome: 'not-happened' }
  /** Still unknown: it stays held and is asked about again later. */
  | { readonly outcome: 'unknown' }

/** Tells what became of a held operation. A throw counts as `unknown`. */
export type Reconcile = (operation: HeldOperation) => Promise<Reconciliation> | Reconciliation

/** Runs operations once. */
export interface Once {
  readonly store: OperationStore & Partial<OperationCatalog>
  readonly scope: string
  /** Runs `fn` once for the key; later calls get its stored outcome. */
  run<T>(call: Call, fn: (op: Operation) => T | Promise<T>): Promise<T>
  /** Like `run`, and answers `running`, `held` and `reused` instead of throwing. */
  attempt<T>(call: Call, fn: (op: Operation) => T | Promise<T>): Promise<AttemptReply<T>>
  /** Runs `fn` in one database transaction with the record and the outcome. */
  transaction<T, Tx = unknown>(
    call: Call,
    fn: (tx: Tx, op: TransactionOperation) => T | Promise<T>,
  ): Promise<T>
  /** Runs `fn` inside a transaction that the caller has begun and will commit. */
  within<T, Tx = unknown>(tx: Tx, call: Call, fn: (op: TransactionOperation) => T | Promise<T>): Promise<T>
  /** Like `within`, for synchronous drivers: returns the value itself and throws, so that the caller can still roll back. */
  withinSync<T, Tx = unknown>(tx: Tx, call: Call, fn: (op: TransactionOperation) => T): T
  /** Reads the record of a key. */
  get(key: Key, options?: { readonly scope?: string }): Promise<OperationRecord | undefined>
  /** Turns lapsed claims of this store into held ones and asks `reconcile` about the held ones of this scope. Answers how many it settled. */
  heal(): Promise<{ readonly swept: number; readonly settled: number }>
  /** Starts nothing new, lets what runs finish, and resolves then. The store stays open: it was given, not opened here. */
  close(): Promise<void>
}

/** A store that `transaction` and `within` can use. */
export type JoinableStore<Tx> = OperationStore & TransactionalStore<Tx>
