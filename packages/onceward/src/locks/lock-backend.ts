/** How a holder holds: alone, or beside others. */
export type LockMode = 'exclusive' | 'shared'

/** What a backend can do, declared as data. Tests and docs ask for a capability, never for a backend's name. */
export interface LockCapabilities {
  /** Each grant of a key has a greater fence than every grant before it. */
  readonly fencing: boolean
  /** Waiters are served in the order in which they took their places. */
  readonly fifo: boolean
  /** Wakes the next waiter itself; without it, waiters look again now and then. */
  readonly push: boolean
  /** Grants `shared` requests: read locks and semaphores. */
  readonly shared: boolean
  /** Keeps a mark per key: what {@link LockBackend.mark} writes. Scheduled work needs it. */
  readonly marks: boolean
  /** Makes the grant of a place that has a {@link AcquireRequest.round}, and its wakes tell so. Not without `push`. */
  readonly grantsPlaces: boolean
  /** Outlives the processes that use it. */
  readonly durable: boolean
  /** How many {@link AcquireRequest.fences} one grant can be given at most. Absent: any number. 1: no reserve at all. */
  readonly maxFences?: number
}

/** Asks for a lock. */
export interface AcquireRequest {
  readonly key: string
  /** Random nonce of this request. Asking again with it is the same request, so a lost reply costs nothing. */
  readonly token: string
  readonly mode: LockMode
  /** `shared` only: how many may hold at once. Read locks have no bound (`Infinity`). */
  readonly permits: number
  /** How long the grant holds unless it is extended, in ms on the backend's clock. */
  readonly ttlMs: number
  /** Who asks, for people: {@link LockView.holders} shows it. */
  readonly owner: string
  /** What else people should see of the holder. At most 1 KiB. */
  readonly meta?: string
  /** Keeps a place among the waiters for so many ms, if it cannot be granted now. Absent: one attempt that leaves nothing. */
  readonly placeMs?: number
  /**
   * Which asking of this token it is. With it, whatever makes room may turn the place into the grant: that ends after `ttlMs`,
   * or when the place would have ended if that is sooner, and the wake tells of it. Only to hold alone, and with
   * {@link LockCapabilities.grantsPlaces}. Absent: a turn is only told of.
   */
  readonly round?: number
  /** May be granted although others wait. Default false. */
  readonly overtake?: boolean
  /**
   * How many fences the grant uses up: {@link AcquireReply.fence} is the first, and the next grant's is beyond the last. A
   * process that hands the lock over between its own callers numbers them without asking. Default 1.
   */
  readonly fences?: number
}

/** The answer to a request. */
export type AcquireReply =
  | {
      readonly granted: true
      /** Absent where the backend has no fences. */
      readonly fence?: number
      /** What {@link LockBackend.mark} has written last. */
      readonly mark?: string
    }
  | {
      readonly granted: false
      /** After how many ms asking again can help if nobody releases anything: the holder in the way has lapsed then. */
      readonly retryAfterMs: number
    }

/** A place that has become the grant. */
export interface PlaceGrant {
  /** The {@link AcquireRequest.round} of the request that took or renewed the place last. */
  readonly round: number
  readonly fence: number
  readonly mark?: string
}

/** One holder, as its own process knows it. */
export interface HeldLock {
  readonly key: string
  readonly token: string
}

/** Moves the end of a grant. */
export interface ExtendRequest extends HeldLock {
  readonly ttlMs: number
  /** Replaces what people see of the holder. Absent: stays. */
  readonly meta?: string
}

/** What people see of a lock. No token: a token is the right to release. */
export interface LockView {
  readonly key: string
  /** Those who hold it now. */
  readonly holders: readonly HolderView[]
  /** How many wait with a place. */
  readonly waiting: number
  /** The greatest fence that was given out; absent where there is none, or nobody remembers. */
  readonly fence?: number
  readonly mark?: string
  /** Forced releases, the latest last. At most ten are kept. */
  readonly forced: readonly ForcedRelease[]
}

/** One who holds a lock. */
export interface HolderView {
  readonly owner: string
  readonly mode: LockMode
  readonly fence?: number
  readonly meta?: string
  readonly remainingMs: number
}

/** A release by somebody who did not hold the lock. */
export interface ForcedRelease {
  /** In ms since the epoch on the backend's clock. */
  readonly at: number
  readonly by: string
  readonly reason: string
  /** Of the holder who lost it. */
  readonly fence?: number
}

/** Takes a lock from whoever holds it. */
export interface ForceRequest {
  readonly key: string
  /** Only a holder with this fence (or one of the fences of its grant) loses the lock. Absent: all holders do. */
  readonly ifFence?: number
  readonly by: string
  readonly reason: string
}

/**
 * Remembers who holds what. Each method is one atomic step on the backend, guarded by the holder's token; lapses are judged
 * by the backend's own clock. Repeating a call whose reply was lost is harmless.
 *
 * Errors: an `OncewardError` with `STORE_UNAVAILABLE` and its kin, `effect: 'none'`. A call that failed may still have been
 * carried out: {@link LockBackend.release} undoes whatever a token may have been given.
 */
export interface LockBackend {
  /** For messages: `Redis at 127.0.0.1:6379`. Never holds a password. */
  readonly where: string
  readonly capabilities: LockCapabilities
  /** The shortest `ttlMs` that makes sense here, in ms. */
  readonly minTtlMs: number
  /** How far apart the clocks of holder and backend may run, as a part of a time: what a holder gives up of its ttl. */
  readonly drift: number
  /** Grants, or tells what stands in the way. With `placeMs` it takes or renews a place. */
  acquire(request: AcquireRequest): Promise<AcquireReply>
  /** Moves the ends of many grants in one go. `false` for one that has lapsed or was taken: it stays lost. */
  extend(requests: readonly ExtendRequest[]): Promise<readonly boolean[]>
  /**
   * Gives up whatever the token has: the grant (then `true`) or its place among the waiters. Wakes who is next. Never
   * touches another token's. `next` is tried in the same step where the backend can: the reply is then its answer.
   */
  release(held: HeldLock, next?: AcquireRequest): Promise<ReleaseReply>
  /** Gives the grant to another token, with its fence and a new ttl. `undefined` when `from` does not hold the lock. */
  transfer(
    from: HeldLock,
    to: Pick<AcquireRequest, 'token' | 'ttlMs' | 'owner' | 'meta'>,
  ): Promise<Transferred | undefined>
  /** What people may see; `undefined` when nothing is known of the key. */
  inspect(key: string): Promise<LockView | undefined>
  /** Takes the lock from its holders, remembers who did it and why, and wakes who is next. Answers how many lost it. */
  forceRelease(request: ForceRequest): Promise<number>
  /**
   * Keeps `mark` with the key for `keepMs` if the token still holds the lock; `false` otherwise. The next grant is told.
   * Absent where {@link LockCapabilities.marks} is false.
   */
  mark?(held: HeldLock, mark: string, keepMs: number): Promise<boolean>
  /**
   * Calls `wake` whenever it may be the turn of `held`, which has a place, until the returned function is called. Who
   * waits asks again now and then, and is told then of a grant that it has: a wake that is lost costs time only, but for a
   * grant that has lapsed by then. Absent where {@link LockCapabilities.push} is false.
   */
  watch?(held: HeldLock, wake: (granted?: PlaceGrant) => void): () => void
  /** Creates what the backend needs, such as tables. Absent where it needs nothing. */
  migrate?(): Promise<readonly string[]>
  /** Frees what the backend itself opened. What is held lapses by itself. */
  close(): Promise<void>
}

/** What a release did. */
export interface ReleaseReply {
  readonly released: boolean
  /** The answer to `next`; absent where the backend left it to a call of its own. */
  readonly next?: AcquireReply
}

/** A grant that has changed hands. */
export interface Transferred {
  readonly mode: LockMode
  readonly fence?: number
}

/** A backend that gives out fences. */
export type FencingBackend = LockBackend & { readonly capabilities: { readonly fencing: true } }

/** A backend that cannot: its locks save work, and must not be what correctness rests on. */
export type UnfencedBackend = LockBackend & { readonly capabilities: { readonly fencing: false } }
