import type { Random } from '../core/clock.ts'
import type { AttemptReply, Call, Once, Operation } from '../core/once-types.ts'
import type { OperationId } from '../core/operation.ts'

/** Options of `createTokens`. */
export interface TokenOptions {
  /** Runs what tokens are redeemed for, and keeps them in its store. Tokens of another scope of `once` are unknown here. */
  readonly once: Pick<Once, 'attempt' | 'get' | 'run' | 'scope'>
  /** How long a token may be presented, in ms on the store's clock. Default 3,600,000 (an hour); at least 1. */
  readonly ttlMs?: number
  /** The largest payload, in bytes as encoded. Default 4,096. */
  readonly maxPayloadBytes?: number
  /**
   * How long beyond its life a token is remembered, so that `used` and `expired` can be told from `unknown` and a
   * duplicate gets the first answer, in ms; never shorter than the token's own life. Default 86,400,000 (a day).
   */
  readonly rememberMs?: number
  /** Draws the tokens. Default: the operating system's randomness. */
  readonly random?: Random
}

/** What a token is issued for. */
export interface IssueRequest<Payload> {
  /** Who may present it: the tenant, the user, the session. Say `'public'` where that is anybody. */
  readonly scope: string
  /** What whoever presents it is given. Kept as it is, whatever `redact` of `once` says. Default: nothing. */
  readonly payload?: Payload
  /** See {@link TokenOptions.ttlMs}. */
  readonly ttlMs?: number
}

/** What became of a token that was to be consumed. */
export type Consumption<Payload> =
  /** This caller has it, and nobody else ever will. */
  | { readonly outcome: 'consumed'; readonly payload: Payload }
  /** It was consumed or redeemed, or is just being redeemed, or its outcome is unknown. */
  | { readonly outcome: 'used' }
  /** It was never used and its time is over. */
  | { readonly outcome: 'expired' }
  /** It was never issued, not for this scope, or so long ago that it is forgotten. */
  | { readonly outcome: 'unknown' }

/** What a token is redeemed for. `payload` is what it was issued with. */
export type TokenWork<T, Payload> = (op: Operation, payload: Payload) => T | Promise<T>

/** Options of one redeem: those of a call, without its key. */
export interface RedeemOptions extends Omit<Call, 'key' | 'scope' | 'allowVolatile'> {
  /** Who presents the token: one that was issued for another scope is unknown. Default: not compared. */
  readonly scope?: string
}

/** Issues tokens and lets each be used once. */
export interface Tokens<Payload = unknown> {
  /** The scope of `once`: tokens of another one are unknown here. */
  readonly namespace: string
  /**
   * Issues a token: 256 random bits, 43 URL-safe characters. The store keeps its SHA-256 only.
   *
   * @throws `TypeError` for a missing scope, and for a payload that is too large or cannot be stored; errors of the store.
   */
  issue(request: IssueRequest<Payload>): Promise<string>
  /**
   * Uses a token up. The claim is the one atomic step: of any number of callers one is told `consumed`.
   *
   * Limit: a caller that crashes after the claim has used the token up without anybody having got it. Where the work
   * must survive that, use {@link Tokens.redeem}.
   *
   * @param options.scope - Who presents it: a token that was issued for another scope is unknown. Default: not compared.
   * @throws errors of the store; `CLAIM_LOST` (effect unknown) for a process that stood still past its lease.
   */
  consume(token: string, options?: { readonly scope?: string }): Promise<Consumption<Payload>>
  /**
   * Runs `fn` once for the token; later calls get its stored outcome. What says that it had no effect can be tried again
   * with the same token while that has not expired. A crash is what `onCrash` says.
   *
   * Limit: the outcome is remembered for as long as the token is. The limits of `once.run` hold.
   *
   * @throws `TOKEN_REFUSED` (effect none) for a token that is unknown, expired or consumed; else as `once.run` does.
   * @example
   * const receipt = await tokens.redeem(form.token, (op) => charge(op.downstreamKey('stripe')), { scope: user.id })
   */
  redeem<T>(token: string, fn: TokenWork<T, Payload>, options?: RedeemOptions): Promise<T>
  /** Like `redeem`, and answers `running`, `held` and `reused` instead of throwing. @throws `TOKEN_REFUSED` */
  attempt<T>(token: string, fn: TokenWork<T, Payload>, options?: RedeemOptions): Promise<AttemptReply<T>>
  /** The operation that a token of this scope is used in, for logs and for `once.get`; nothing for what cannot be a token. */
  operationOf(token: string, scope: string): OperationId | undefined
}
