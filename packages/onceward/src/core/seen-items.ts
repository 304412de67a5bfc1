/** Marks items as seen, all with one window. */
export interface MarkRequest {
  /** SHA-256 of the items, base64url: at most 5,000, no two the same. */
  readonly digests: readonly string[]
  /** Nonce of the call: 12 bytes, base64url. Asking again with the same nonce gets the same answer, so a lost reply costs nothing. */
  readonly markId: string
  /** How long an item is remembered, in whole ms on the store's clock. */
  readonly windowMs: number
  /** Whether an item that was seen before is remembered for another `windowMs` from now. */
  readonly sliding: boolean
}

/** The most items of one {@link MarkRequest}. */
export const MAX_MARKED = 5000

/**
 * Remembers which items were seen: what a store offers to `createDedupe`. Digests come already hashed. Each item is one
 * atomic step on the store; the items of a call need not be one.
 */
export interface SeenItems {
  /** Marks items; tells for each whether this call has marked it, that is, whether nobody had seen it within its window. */
  mark(request: MarkRequest): Promise<readonly boolean[]>
  /** Forgets items; tells for each whether it was remembered. At most 5,000. */
  forget(digests: readonly string[]): Promise<readonly boolean[]>
  /** Removes what is not remembered any more, at most `limit`; answers how many. 0 where the server does it by itself. */
  purge(limit: number): Promise<number>
}
