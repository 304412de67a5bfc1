import type {
  Claim,
  Failure,
  OnCrash,
  OperationId,
  OperationRecord,
  OperationState,
  Outcome,
  StepRecord,
} from './operation.ts'
import type { SeenItems } from './seen-items.ts'

/** What a store can do, declared as data. Tests and docs ask for a capability, never for a backend's name. */
export interface StoreCapabilities {
  /** Survives the end of the process. */
  readonly durable: boolean
  /** Can join a business transaction; `sync` drivers accept only callbacks that return without awaiting. */
  readonly transactional: false | 'sync' | 'async'
  /** Wakes waiters without polling, at least within one process. */
  readonly push: boolean
  /** Offers the {@link OperationCatalog}. */
  readonly listing: boolean
  /** Keeps fences increasing across expiry and restart. */
  readonly fencing: boolean
}

/** Asks for the right to run an operation. */
export interface ClaimRequest {
  readonly id: OperationId
  /** Digest of the input. Absent on either side means: not compared. */
  readonly fingerprint?: string
  /** Random nonce. Asking again with the same nonce is the same claim, so a lost reply costs nothing. */
  readonly owner: string
  /** How long the claim holds without renewal, in ms on the store's clock. */
  readonly leaseMs: number
  /** How long the record outlives its end, in ms. */
  readonly retentionMs: number
  /** What a lapse of this claim means; kept in the record, so that whoever finds the lapse applies it. */
  readonly onCrash: OnCrash
  /** This caller has asked before and is waiting: it is not counted as another duplicate. */
  readonly again?: boolean
}

/** The answer to a claim: one member for each state the caller can find. */
export type ClaimReply =
  /** The caller owns the operation. `takenOver` tells that an earlier claim lapsed. `steps` are those already finished. */
  | {
      readonly state: 'claimed'
      readonly claim: Claim
      readonly takenOver: boolean
      readonly steps: readonly StepRecord[]
    }
  /** Another caller owns it, for `remainingMs` more unless it renews. */
  | { readonly state: 'running'; readonly attempt: number; readonly remainingMs: number }
  /** It has ended; it is remembered for `remainingMs` more. */
  | {
      readonly state: 'done'
      readonly outcome: Outcome
      readonly attempt: number
      readonly fence: number
      readonly remainingMs: number
    }
  /** Nobody knows its outcome. `mayAskInMs` is 0 when somebody may be asked now. */
  | {
      readonly state: 'held'
      readonly reason: string
      readonly fence: number
      readonly attempt: number
      readonly asks: number
      readonly mayAskInMs: number
    }
  /** The key belongs to another input. The record is untouched. */
  | { readonly state: 'reused' }

/** A turn at asking what became of a held operation. */
export interface AskTurn {
  /** The fence of the held operation the caller has seen. */
  readonly fence: number
  /** The count of asks the caller has seen; the turn is granted to one of those who saw the same count. */
  readonly asks: number
  /** How long nobody else may ask, in ms from now. */
  readonly quietMs: number
  /** The caller holds the turn `asks` already and only moves the end of the quiet time. */
  readonly holding: boolean
}

/**
 * Remembers operations. Each method is one atomic step on the store, guarded by the claim's owner and fence:
 * a stale owner changes nothing and is answered `false`. Repeating a call whose reply was lost is harmless:
 * the same owner gets the same answer.
 */
export interface OperationStore {
  readonly capabilities: StoreCapabilities
  /** Grants the right to run, or tells what stands in its way. Applies the record's own `onCrash` to a lapsed claim. */
  claim(request: ClaimRequest): Promise<ClaimReply>
  /** Lets the claim hold for another `leaseMs` from now; refused once another owner, a hold or an end has come. */
  renew(claim: Claim, leaseMs: number): Promise<boolean>
  /** Remembers that a step was started or finished. */
  checkpoint(claim: Claim, step: StepRecord): Promise<boolean>
  /** Ends the operation with an outcome that is remembered for `retentionMs`. */
  complete(claim: Claim, outcome: Outcome, retentionMs: number): Promise<boolean>
  /** Gives the operation back: nothing happened, the next caller may run it. `failure` is kept in the history. */
  release(claim: Claim, failure?: Failure): Promise<boolean>
  /** Marks the outcome as unknown; nobody reruns it until it is reconciled. */
  hold(claim: Claim, reason: string): Promise<boolean>
  /** Reads a record as it stands, expired ones excepted. */
  get(id: OperationId): Promise<OperationRecord | undefined>
  /** Resolves when the record may have changed, or when `signal` aborts; never rejects. */
  watch?(id: OperationId, signal: AbortSignal): Promise<void>
  /** Gives the only turn to ask what became of a held operation. */
  takeTurn(id: OperationId, turn: AskTurn): Promise<boolean>
  /** Decides a held operation. */
  resolve(id: Pick<OperationId, 'digest'>, resolution: Resolution): Promise<ResolveReply>
  /** Remembers which items were seen, for `createDedupe`. */
  readonly seen?: SeenItems
  /** Frees what the store itself opened. */
  close(): Promise<void>
}

/** How a held operation is decided. */
export interface Resolution {
  /** The fence the decider has seen; another one is a conflict. */
  readonly fence: number
  readonly as: { readonly state: 'done'; readonly outcome: Outcome } | { readonly state: 'released' }
  /** Who decides: a person, or `reconcile`. */
  readonly actor: string
  /** Why; written to the audit. */
  readonly reason: string
  /** How long a done record is remembered, in ms. Default: what the claim asked for. */
  readonly retentionMs?: number
}

/** What became of a resolve. */
export type ResolveReply =
  | { readonly state: 'resolved'; readonly record: OperationRecord }
  /** No such record. */
  | { readonly state: 'absent' }
  /** Not held (any more), or held under another fence. Nothing was changed. */
  | { readonly state: 'conflict'; readonly found: OperationState; readonly fence: number }

/** Which records to list. */
export interface ListQuery {
  /** Records in this state. Default: all. */
  readonly state?: OperationState
  /** Records of exactly this scope. Default: all. */
  readonly scope?: string
  /** Records whose key starts with this text, literally. */
  readonly keyPrefix?: string
  /** Records created at least this long ago, in ms. */
  readonly olderThanMs?: number
  /** At most this many. Default 100, at most 1000. */
  readonly limit?: number
  /** Where the page before ended. */
  readonly cursor?: string
}

/** One page of records, newest first by creation; a record that exists throughout is listed exactly once over all pages. */
export interface ListPage {
  readonly records: readonly OperationRecord[]
  /** Hand it back as `cursor` for the next page; absent on the last one. */
  readonly cursor?: string
}

/** One line of the audit: who decided a held operation, how and why. Kept when the record is gone. */
export interface AuditEntry {
  /** Store time in ms since the epoch. */
  readonly at: number
  readonly digest: string
  readonly scope: string
  readonly key: string
  readonly fence: number
  readonly as: 'done' | 'failed' | 'released'
  readonly actor: string
  readonly reason: string
}

/** How many records are in each state, and how old the oldest of the urgent ones are, in ms. */
export interface StoreStats {
  readonly running: number
  readonly done: number
  readonly held: number
  readonly released: number
  readonly oldestRunningMs: number
  readonly oldestHeldMs: number
}

/** One finding of the doctor. */
export interface Finding {
  /** `warn` weakens a guarantee, `fail` breaks one. */
  readonly level: 'ok' | 'warn' | 'fail'
  /** What was looked at, in one word. */
  readonly check: string
  /** What was found, and the mend. */
  readonly message: string
}

/** What the console, the command line and the sweeper need. */
export interface OperationCatalog {
  /** Reads one page of records. @throws `TypeError` for a limit or a cursor that makes no sense. */
  list(query: ListQuery): Promise<ListPage>
  /** Finds a record by its digest, or by a prefix of at least 6 characters that only one record has. */
  find(digest: string): Promise<OperationRecord | undefined>
  /** Turns lapsed claims with `onCrash: 'hold'` into held ones; answers how many. At most `limit` (default 1000) a call. */
  sweep(limit?: number): Promise<number>
  /** Removes expired records, and seen items whose window is over, at most `limit` (default 1000) a call; answers how many. */
  purge(limit?: number): Promise<number>
  /** Counts what is remembered now; expired records do not count. */
  stats(): Promise<StoreStats>
  /** The decisions made, newest first. */
  audit(query?: { readonly digest?: string; readonly limit?: number }): Promise<readonly AuditEntry[]>
  /** Brings the schema up to date; safe under concurrent starts. Answers the migrations it applied. */
  migrate(): Promise<readonly string[]>
  /** Looks for what would weaken the guarantees. */
  doctor(): Promise<readonly Finding[]>
}

/** A store whose records can join a business transaction. `Tx` is the handle the business writes use. */
export interface TransactionalStore<Tx> {
  /**
   * Runs `body` in one transaction: commits when it returns, rolls back when it throws, and passes on what was thrown.
   *
   * - A sync store calls it synchronously, and refuses a promise with a `TypeError` after rolling back.
   * - Where its server undoes the transaction for the sake of another one (a deadlock, a serialization failure), whether
   *   the body lets that error through or not, it runs `body` again, afresh, a bounded number of times with pauses;
   *   then it throws `STORE_UNAVAILABLE` with effect none.
   * - Where the connection breaks during COMMIT, it finds out by the claimed keys what became of it. Only what cannot be
   *   found out is thrown with effect unknown.
   *
   * @throws `TypeError` where `body` has ended the transaction itself.
   */
  transaction<T>(body: (tx: Tx) => T | Promise<T>): Promise<T>
  /** Refuses, with the mend, a handle on which no transaction is open. An async store may have to ask its server. */
  assertInTransaction(tx: Tx): void | Promise<void>
  /**
   * Runs `body` under a savepoint of the caller's transaction, so that a throw undoes only its own writes. Refuses what
   * `assertInTransaction` refuses.
   */
  savepoint<T>(tx: Tx, body: () => T | Promise<T>): T | Promise<T>
  /**
   * {@link OperationStore.claim} inside `tx`. An async store waits here while another open transaction has claimed the
   * same key, for a bounded time; its outcome is then seen, whatever the isolation level, or the claim is granted.
   *
   * @throws `IN_PROGRESS` (effect none) when that time is over; `STORE_UNAVAILABLE` (effect none) where the transaction
   * was undone for the sake of another one, or has to be run again.
   */
  claimIn(tx: Tx, request: ClaimRequest): ClaimReply | Promise<ClaimReply>
  /** {@link OperationStore.complete} inside `tx`. */
  completeIn(tx: Tx, claim: Claim, outcome: Outcome, retentionMs: number): boolean | Promise<boolean>
}
