import type { Random, Timers } from '../core/clock.ts'
import type { Key } from '../core/derive-key.ts'
import type { FileSource } from '../core/file-key.ts'
import type { Observer } from '../core/observer.ts'
import type { OperationStore } from '../core/store.ts'

/**
 * What may be looked for. Text stands for itself (up to 1,024 bytes); numbers, BigInts, lists and objects for their canonical
 * JSON, whatever the order of fields; bytes, Blobs and streams for their content. A stream is used up by it.
 */
export type Item = Key | number | bigint | FileSource

/** Options of `createDedupe`. */
export interface DedupeOptions {
  /** Where items are remembered: any store of Onceward. It stays yours. */
  readonly store: OperationStore
  /** What items are unique within, such as `newsletter`. Dedupes of one scope and store share what they have seen. */
  readonly scope: string
  /** How long an item is remembered, in whole ms on the store's clock: at most ten years. Default 86,400,000 (a day). */
  readonly windowMs?: number
  /** Whether each sight of an item lets it be remembered for another `windowMs`. Default false: `windowMs` from its first sight. */
  readonly sliding?: boolean
  /** How often a call that the store did not answer is repeated. Its repetition gets the same answer. Default 2. */
  readonly retries?: number
  /** Is told of each item that is suppressed (`suppressed`), beside the diagnostics channel `onceward`. */
  readonly observer?: Observer
  readonly timers?: Timers
  readonly random?: Random
}

/** Options of one call. */
export interface SightOptions {
  /**
   * Names this very sight, in up to 1,024 bytes: a delivery, a job and its attempt. Whoever asks again with the same name, after
   * an error or a crash, gets the same answer for as long as the item is remembered. Default: a fresh random one.
   */
  readonly markId?: string
}

/** What a dedupe has done in this process. */
export interface DedupeStats {
  /** Items that were looked at. */
  readonly seen: number
  /** Those that were seen for the first time. */
  readonly first: number
  /** Those that were seen before, or twice in one call. */
  readonly suppressed: number
  /** Items that were remembered until they were to be forgotten. */
  readonly forgotten: number
  /** Calls of the store that were repeated. */
  readonly retried: number
}

/**
 * Tells which items are new. An item is marked *before* whoever asked has done anything with it: a crash in between loses it
 * (at most once), unless the same `markId` is used again or the item is forgotten.
 */
export interface Dedupe {
  /**
   * Whether this item is seen for the first time within its window. Of callers at the same time one is told so, over all
   * processes. Calls of one turn of the event loop share a round trip.
   *
   * @throws `TypeError` for what no key can be derived from, `STORE_UNAVAILABLE` with effect unknown where the store has not
   * answered and the item may be marked.
   */
  firstTime(item: Item, options?: SightOptions): Promise<boolean>
  /**
   * The items that are seen for the first time, in their order, each once. One round trip for up to 5,000; more go in parts, one
   * after the other. Nothing is marked before the keys of all are known.
   *
   * @param keyOf - What an item is known by. Default: the item itself. What it throws is thrown on.
   * @throws as {@link Dedupe.firstTime}. After an error any part of the items may be marked.
   */
  filterNew<T extends Item>(items: Iterable<T>, options?: SightOptions): Promise<T[]>
  filterNew<T>(
    items: Iterable<T>,
    keyOf: (item: T, index: number) => Item | Promise<Item>,
    options?: SightOptions,
  ): Promise<T[]>
  /** Forgets items, so that their next sight is the first again: for what was marked and not done. Answers how many were remembered. */
  forget(items: Iterable<Item>): Promise<number>
  /**
   * Removes what is not remembered any more, at most `limit` (default 1,000, at most 1,000) a call; answers how many. SQL needs it now
   * and then, and the `purge()` of the store does it too; on Redis there is nothing to do.
   */
  purge(limit?: number): Promise<number>
  /** Counts since this dedupe was made. */
  stats(): DedupeStats
}
