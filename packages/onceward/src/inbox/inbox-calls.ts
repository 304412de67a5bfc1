import type { SqlCall } from '../drivers/database/index.ts'

/** How many rows one statement deletes, or lists, at most. */
export const MAX_ROWS = 1000

/** What is kept of a message that has failed. */
export interface FailureRow {
  readonly attempts: number
  readonly deadAt: number | null
  /** JSON in ASCII. */
  readonly history: string
}

/** The statements of one consumer's inbox, with their values bound as a dialect wants them. */
export interface InboxCalls {
  /** Writes one row if the message is new; waits for a transaction that is at it. */
  take(id: string): SqlCall
  /** The same for many, which are sorted. Answers the new ones as `id`, where the dialect can. */
  takeMany(ids: readonly string[], batch: string): SqlCall
  /** Only where `takeMany` cannot answer: tells as `id` which ones the batch has written. */
  taken?(ids: readonly string[], batch: string): SqlCall
  /** Forgets what the same transaction has taken. */
  untake(ids: readonly string[]): SqlCall
  /** Answers `id`, `attempts`, `dead_at` of those that have failed. */
  failed(ids: readonly string[]): SqlCall
  /** Forgets that they have failed. */
  forgive(ids: readonly string[]): SqlCall
  /** Makes the row of a failure, if there is none. */
  addFailure(id: string): SqlCall
  /** Locks it. Answers `attempts`, `dead_at`, `history`, and the time as `now`. */
  lockFailure(id: string): SqlCall
  setFailure(id: string, row: FailureRow): SqlCall
  /** Answers `id`, `attempts`, `dead_at`, `failed_at`, `history` in the order of ids; at most {@link MAX_ROWS}. */
  listFailures(after: string, deadOnly: boolean): SqlCall
  /** Deletes at most {@link MAX_ROWS} of the oldest that are past their retention. */
  purge(retentionMs: number): SqlCall
  purgeFailures(retentionMs: number): SqlCall
  /** Answers the time of the `oldest`, the time `now`, and how many are `dead`. */
  facts(): SqlCall
  /** Reads the `id` of an answer. */
  readId(value: unknown): string
}
