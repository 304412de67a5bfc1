import type { Clock } from '../core/clock.ts'
import type { Key } from '../core/derive-key.ts'
import type { AttemptReply, Call, Once, Operation, Reconcile, Redact } from '../core/once-types.ts'
import type { OnCrash, OperationId } from '../core/operation.ts'
import type { TokenSource } from './presented-token.ts'
import type { KeyedRequest } from './types.ts'

/** What a 5xx response, or a throw, means for the operation when nothing is known of its effect. */
export type OnServerError = 'hold' | 'store' | 'release'

/** A limit on new operations per scope. */
export interface QuotaOptions {
  /** How many new keys one scope may start within `perMs`. */
  readonly newKeys: number
  /** Length of the sliding window, in ms. */
  readonly perMs: number
  /** How many scopes are counted at once; the longest idle ones are forgotten first. Default 10,000. */
  readonly maxScopes?: number
}

/** What `deriveKey` of the guard may answer: nothing where the request lacks what its key is made of. */
export type DerivedKey = Key | undefined | null

/** What the guard needs of the engine. */
export type GuardedOnce = Pick<Once, 'attempt' | 'get' | 'scope'>

/** What the guard needs of one-time tokens: what `createTokens({ once })` answers has it. */
export interface GuardTokens {
  /** The scope of their `once`. */
  readonly namespace: string
  /** Runs `fn` once for the token. @throws `TOKEN_REFUSED` for one that was not issued to `scope`, or cannot be used any more. */
  attempt<T>(
    token: string,
    fn: (op: Operation) => T | Promise<T>,
    call: Omit<Call, 'key' | 'allowVolatile'>,
  ): Promise<AttemptReply<T>>
  /** The operation that a token is used in; nothing for what cannot be a token. */
  operationOf(token: string, scope: string): OperationId | undefined
}

/** Options of {@link createGuard}: what every adapter and the gateway share. */
export interface GuardOptions {
  /** Runs the operations. Its scope is the namespace of all keys. */
  readonly once: GuardedOnce
  /** Refuses guarded methods without a key: 400 `key-missing`. Default false: they pass through unguarded. */
  readonly requireKey?: boolean
  /**
   * Derives the key from the request instead of reading `Idempotency-Key`. Answer the fields as a list or an object:
   * a missing one is then refused, where text built from it (`order-undefined`) would be shared by everybody. Text is
   * taken as it is; `undefined` is refused as `key-missing`, and whatever it throws as `request-invalid`: nothing ran.
   *
   * Limit: what it throws is told on the diagnostics channel `onceward` only; of a `TypeError` the client gets the message.
   */
  readonly deriveKey?: (request: KeyedRequest, body: Buffer) => DerivedKey | Promise<DerivedKey>
  /**
   * Takes one-time tokens for keys, and nothing else: a request without one is refused with 400 `key-missing`, one whose
   * token was not issued to its caller, has expired or is used up with 400 `token-refused`. A token is for one request:
   * on another method, path or body it is a reuse. Made with the same `once`.
   */
  readonly tokens?: GuardTokens
  /** Where the token is. Default: in the field `Idempotency-Key`. */
  readonly tokenFrom?: TokenSource
  /** How long a duplicate waits for the running one at most, in ms; `Prefer: wait=n` shortens it. Default 30,000. */
  readonly waitMs?: number
  /** The largest body that is fingerprinted, in bytes; a larger one is refused with 413. Default 1,048,576. */
  readonly maxBodyBytes?: number
  /** The largest response that is held back and stored, in bytes. A larger one passes through and is not replayable. Default 1,048,576. */
  readonly maxResponseBytes?: number
  /** What a 5xx or a throw of unknown effect means. Default `hold`. */
  readonly onServerError?: OnServerError
  /** Runs the handler unguarded while the store is down, marked `Idempotency-Bypassed`. Default false: 503. */
  readonly failOpen?: boolean
  /** Compares JSON bodies by their RFC 8785 form, so that spacing and the order of members do not matter. Default false: bytes. */
  readonly canonicalJson?: boolean
  /** Limits new keys per scope: 429 `quota-exceeded`. Default: no limit. Counted in this process. */
  readonly quota?: QuotaOptions
  /** How many requests may wait for one operation in this process; more are answered 409 `in-progress` at once. Default 1,000. */
  readonly maxWaiters?: number
  /** Response fields that are stored and replayed besides the standard ones (see docs/http.md). */
  readonly replayHeaders?: readonly string[]
  /** See `OperationPolicy`; passed to each call. Default: what `once` has. */
  readonly leaseMs?: number
  /** How long a response is replayed, in ms from its end. Default: what `once` has. */
  readonly retentionMs?: number
  /** What a crash during the handler means. Default: what `once` has. */
  readonly onCrash?: OnCrash
  /**
   * Decides what is stored of a response: given the `CapturedResponse`, it answers another one. The client whose request
   * ran gets the full one, duplicates what was stored. Default: what `once` has.
   */
  readonly redact?: Redact
  /** Asked what became of a held operation; `done` carries a `CapturedResponse`. */
  readonly reconcile?: Reconcile
  /** How long one question to `reconcile` may take, in ms. */
  readonly reconcileTimeoutMs?: number
  /** Reads the time for `Idempotency-Expires` and the quota. Default: the system's. */
  readonly clock?: Clock
}

/** Tells callers apart: a function of the request, or the literal `'public'` where all callers are one. */
export type ScopeOption<Request> =
  | 'public'
  | ((request: Request) => string | undefined | null | Promise<string | undefined | null>)

/** Options of every `idempotency()` middleware. */
export interface IdempotencyOptions<Request> extends GuardOptions {
  /**
   * Who asks: the authenticated tenant or principal. Keys of two callers never meet. No answer (`undefined`, `null`
   * or an empty text) is refused with 401 `scope-missing`. Say `'public'` where all callers are one, in so many words.
   */
  readonly scope: ScopeOption<Request>
}
