import type { Clock, Random, Timers } from '../core/clock.ts'
import type { CronMethods } from './cron-types.ts'
import type { LockView } from './lock-backend.ts'

/** How a lock is held. Each can be set for an instance and for one call. */
export interface HoldOptions {
  /** How long the lock holds unless it is extended, in ms on the backend's clock. Default 30,000. */
  readonly ttlMs?: number
  /** Extends the lease every third of `ttlMs` for as long as it is held. Default true. */
  readonly renew?: boolean
  /** For how long the watchdog extends it at most, in ms, so that work that hangs does not hold for ever. Default one hour. */
  readonly maxHoldMs?: number
  /** What people see of the holder in `inspect`. At most 1 KiB of text. */
  readonly meta?: string
  /** Waits behind those who came earlier. Default true. `false` may overtake, and costs less where nobody waits. */
  readonly fair?: boolean
  /**
   * An inner call for the same key in the same async context gets the outer lease. Default false: it waits for itself.
   * Inside are the work of `using`, and whatever follows an `acquire` until its release, with all that is begun there.
   *
   * Limit: before Node.js 24 async contexts are followed from the first re-entrant call in a process on, or from
   * `createLocks(backend, { reentrant: true })`. What was under way by then, and the top level of a module up to its next
   * `await`, is not inside of what it acquires: an inner call waits for itself. `using` always works.
   */
  readonly reentrant?: boolean
}

/** How long to wait for a lock. */
export interface AcquireOptions extends HoldOptions {
  /** The longest wait in ms. Default 10,000. */
  readonly waitMs?: number
  /** Ends the wait with `ABORTED`. */
  readonly signal?: AbortSignal
}

/** What a call of `createLocks` takes. */
export interface LocksOptions extends HoldOptions {
  /** The longest wait of `acquire` in ms, where a call does not say its own. Default 10,000. */
  readonly waitMs?: number
  /** Who holds, for people. Default host name and process id. Never used to decide anything. */
  readonly owner?: string
  /** How many times in a row the lock is handed over inside this process before other processes get their turn. Default 32. */
  readonly localHandovers?: number
  /** Is told of events. They hold the keys of locks in plain text: keep secrets out of keys. */
  readonly observer?: LockObserver
  readonly clock?: Clock
  readonly timers?: Timers
  readonly random?: Random
}

/** What a release found: the lock was given back, or it had been lost before. */
export type Released = 'released' | 'not-held'

/**
 * The right to work under a lock, until it is released, lapses or is taken away.
 *
 * Limit: between the last look at the clock and the write that follows, a process can be paused. Only the resource itself can
 * refuse such a late write: give it {@link Lease.fence}.
 *
 * @typeParam Fence - `number`, or `undefined` on a backend without fences.
 */
export interface Lease<Fence extends number | undefined = number | undefined> extends AsyncDisposable {
  readonly key: string
  /** Strictly greater than that of every grant of this key before. */
  readonly fence: Fence
  /** The right to this lease: whoever has it may `attach` or release. Keep it like a password. */
  readonly token: string
  /**
   * Aborts with `LOCK_LOST` as soon as the lease may be lost: when the backend says so, and before this process's own
   * deadline, network or not. Reading it looks at the clock first. It stays quiet after `release`.
   */
  readonly signal: AbortSignal
  /** How long this process may count on the lease, in ms; 0 once it is lost or released. */
  remainingMs(): number
  /** @throws `LOCK_LOST` (effect `unknown`) unless the lease can be counted on at this moment. */
  assertHeld(): void
  /**
   * Moves the end of the lease to `ttlMs` from now. Default: its own.
   *
   * @throws `LOCK_LOST` when it is not held any more; `STORE_UNAVAILABLE` when nobody knows: the lease is then as it was.
   */
  extend(ttlMs?: number): Promise<void>
  /**
   * Gives the lock back. Idempotent, never touches another's lock, and answers `not-held` when it had been lost. The lease is
   * not extended any more from the moment of the call on, whatever comes of it.
   *
   * @throws `STORE_UNAVAILABLE` (effect `unknown`) when the backend failed: call again, or let it lapse. `using` and
   * `await using` never throw for this.
   */
  release(): Promise<Released>
}

/** Several leases held together. */
export interface LeaseGroup<Fence extends number | undefined = number | undefined> extends AsyncDisposable {
  /** By key, sorted. */
  readonly leases: readonly Lease<Fence>[]
  /** Of this key. @throws `TypeError` for a key that is not in the group. */
  fence(key: string): Fence
  /** Aborts when any of them may be lost. */
  readonly signal: AbortSignal
  remainingMs(): number
  assertHeld(): void
  extend(ttlMs?: number): Promise<void>
  /** `released` when all were still held. */
  release(): Promise<Released>
}

/** A key with a limit to how many hold it at once. */
export interface Semaphore<Fence extends number | undefined = number | undefined> extends LockMethods<Fence> {
  readonly key: string
  readonly permits: number
}

/** One way of holding one key. */
export interface LockMethods<Fence extends number | undefined = number | undefined> {
  /** One attempt: `null` when it is held. @throws only when the backend failed. */
  tryAcquire(options?: HoldOptions): Promise<Lease<Fence> | null>
  /** @throws `LOCK_TIMEOUT` (effect `none`) after `waitMs`; `ABORTED`; `STORE_UNAVAILABLE`. Nothing is left behind then. */
  acquire(options?: AcquireOptions): Promise<Lease<Fence>>
  using<T>(options: AcquireOptions, fn: (lease: Lease<Fence>) => T | Promise<T>): Promise<T>
  using<T>(fn: (lease: Lease<Fence>) => T | Promise<T>): Promise<T>
}

/** A fixed number of locks that many ids share. */
export interface Segmented {
  readonly segments: number
  /** The key of the segment of an id: always the same for the same id, name and number of segments. */
  keyFor(id: string): string
  /** The ids by the key of their segment, in the order of the keys. */
  forIds<Id extends string>(ids: Iterable<Id>): ReadonlyMap<string, readonly Id[]>
}

/** Locks on one backend. */
export interface Locks<Fence extends number | undefined = number | undefined> extends CronMethods<Fence> {
  /** One attempt: `null` when the key is held. @throws only when the backend failed, or for misuse. */
  tryAcquire(key: string, options?: HoldOptions): Promise<Lease<Fence> | null>
  /**
   * Waits for the lock.
   *
   * @throws `LOCK_TIMEOUT` (effect `none`) after `waitMs`, `ABORTED` when the signal aborts, `STORE_UNAVAILABLE` when the
   * backend failed. In each case nothing is left behind, a grant whose reply was lost included.
   */
  acquire(key: string, options?: AcquireOptions): Promise<Lease<Fence>>
  /**
   * Runs `fn` under the lock and gives the lock back. Answers what `fn` answers and throws what it throws, whatever becomes
   * of the lock meanwhile: look at `lease.signal`, and give `lease.fence` to the resource.
   */
  using<T>(key: string, options: AcquireOptions, fn: (lease: Lease<Fence>) => T | Promise<T>): Promise<T>
  using<T>(key: string, fn: (lease: Lease<Fence>) => T | Promise<T>): Promise<T>
  /** All or none; keys are sorted and de-duplicated, so that two such calls never wait for each other in a circle. */
  acquireAll(keys: readonly string[], options?: AcquireOptions): Promise<LeaseGroup<Fence>>
  /** The lock of `key`, shared with other readers. */
  read(key: string): LockMethods<Fence>
  /** The lock of `key`, alone: what `acquire(key)` takes. */
  write(key: string): LockMethods<Fence>
  /** At most `permits` hold it at once. Everybody has to name the same number. */
  semaphore(key: string, permits: number): Semaphore<Fence>
  /** A fixed number of locks for any number of ids: 1 to 1,000,000. Everybody has to name the same number. */
  segmented(name: string, options: { readonly segments: number }): Segmented
  /** Who holds it, and for how long; `undefined` when nothing is known of the key. */
  inspect(key: string): Promise<LockView | undefined>
  /** Takes the lock from its holders. `ifFence` keeps it from hitting somebody who came later. */
  forceRelease(
    key: string,
    request: { readonly ifFence?: number; readonly by?: string; readonly reason: string },
  ): Promise<Released>
  /**
   * Takes a lease over from another process, which gave us its token: the lease there is lost from now on.
   *
   * @throws `LOCK_LOST` when the token holds nothing any more.
   */
  attach(token: string, options?: HoldOptions): Promise<Lease<Fence>>
  /** Releases what this instance holds, ends all waits with `CLOSED`, and closes the backend. */
  close(): Promise<void>
}

/** What happened, as observers and the diagnostics channel `onceward:locks` are told. */
export interface LockEvent {
  readonly type:
    | 'acquired'
    | 'released'
    | 'lost'
    | 'extend-failed'
    | 'release-failed'
    | 'waiting'
    | 'timed-out'
    | 'forced'
    | 'attached'
    | 'expired-hold'
    /** A tick ran, and its end is recorded. */
    | 'tick-done'
    /** `fn` threw. */
    | 'tick-failed'
    /** The lock was lost before the end of a run could be recorded. */
    | 'tick-lost'
    /** A run was begun somewhere and cut off. */
    | 'tick-crashed'
    /** Nothing of this name runs until `resolveTick` decides. */
    | 'tick-held'
    | 'tick-resolved'
    /** No instance could begin it in time. */
    | 'tick-missed'
    /** The clock of this machine is far ahead. */
    | 'tick-refused'
    /** The backend failed; it is asked again. */
    | 'tick-delayed'
  readonly key: string
  readonly fence?: number
  /** The scheduled time that a `tick-…` is about, in ms since the epoch. */
  readonly tick?: number
  /** How long it was waited for, or held, or how long a tick ran, in ms. */
  readonly durationMs?: number
  /** For a person. */
  readonly message?: string
  readonly error?: unknown
}

/** Is told what happens. It must not throw; what it throws is dropped. */
export type LockObserver = (event: LockEvent) => void
