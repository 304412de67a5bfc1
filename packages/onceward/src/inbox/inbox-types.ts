import type { Finding } from '../core/store.ts'
import type { DatabaseHandle, DatabaseOptions } from '../drivers/database/index.ts'

/** What names a message: its id, or anything that carries it. The same in every delivery of one message, and in no other. */
export type InboxMessage = string | { readonly id: string }

/** Options of `createInbox`. */
export interface InboxOptions extends DatabaseOptions {
  /** Where the effects are written, and with them what was processed. A pool or a handle stays yours. */
  readonly db: DatabaseHandle
  /** What reads the messages, at most 255 bytes: two consumers each process a message once. Changing it forgets everything. */
  readonly consumer: string
  /**
   * How long an id is remembered, in ms from when it was processed. It must outlast the longest time for which the producer
   * may send again: see `doctor`. Default 30 days.
   */
  readonly retentionMs?: number
  /**
   * After how many failed attempts a message is dead, and answered with `dead`. Default: never, the broker decides. Only
   * handlers that throw are counted: for messages that kill the process, set the delivery limit of the broker.
   */
  readonly maxAttempts?: number
  /**
   * Whether ids past their retention are deleted now and then in the background: about every 256th processed message deletes at
   * most 1,000. Default true; otherwise call `purge` yourself.
   */
  readonly autoPurge?: boolean
}

/** The handler's effect is committed, and its message will not be processed again. */
export interface Processed<T> {
  readonly outcome: 'processed'
  /** What the handler has answered. */
  readonly value: T
}

/** The message was processed before; nothing was run. */
export interface Duplicate {
  readonly outcome: 'duplicate'
}

/** The message has failed `maxAttempts` times and is dead; nothing of it took effect. */
export interface Dead {
  readonly outcome: 'dead'
  readonly attempts: number
  /** What the handler has thrown, where it was the last attempt that this very call has made; otherwise absent. */
  readonly cause?: unknown
}

/** What became of a message. */
export type InboxOutcome<T> = Processed<T> | Duplicate | Dead

/** What became of a batch. */
export interface BatchOutcome<M, T> {
  /** `duplicate` where nothing was left to process. */
  readonly outcome: 'processed' | 'duplicate'
  /** What the handler has answered; absent where it was not called. */
  readonly value?: T
  /** Those that the handler was given, in their order. */
  readonly fresh: readonly M[]
  /** Those that were processed before, or came twice in the batch. */
  readonly duplicates: readonly M[]
  /** Those that are dead. */
  readonly dead: readonly M[]
}

/** One line of the history of a message that has failed. */
export interface FailureEntry {
  /** The server's time, in ms since the epoch. */
  readonly at: number
  readonly event: 'failed' | 'dead' | 'redriven'
  /** What was thrown, or who has redriven it and why; at most 500 characters. */
  readonly note: string
}

/** A message that has failed. */
export interface FailedMessage {
  readonly id: string
  /** Since the beginning, or since it was redriven. */
  readonly attempts: number
  readonly failedAt: number
  /** Absent while it may still be processed. */
  readonly deadAt?: number
  /** The latest 16 entries, the newest last. */
  readonly history: readonly FailureEntry[]
}

/** Which failed messages are listed. */
export interface FailureQuery {
  /** Only those that are dead. Default true. */
  readonly deadOnly?: boolean
  /** At most so many, 1 to 1,000. Default 100. */
  readonly limit?: number
  /** Only ids behind this one, in the order of their bytes: the last one of the page before. */
  readonly after?: string
}

/** A consumer's memory of what it has processed. `Tx` is the handle of a transaction, as the driver of `db` has it. */
export interface Inbox<Tx = unknown> {
  readonly consumer: string
  /**
   * Runs `handler` in a transaction of its own, unless the message was processed before: the id is written first, so a concurrent
   * delivery waits for this one, and finds it done or takes its place.
   *
   * Guarantee: the effects that the handler writes through `tx` are committed once, however often the message comes. Limit:
   * what it does elsewhere (a call, a mail) happens again when the transaction is rolled back, or runs again because a
   * deadlock has undone it.
   *
   * @param handler - Writes through `tx`. What it throws rolls everything back and is thrown on: the message may come again.
   *   On SQLite it must be synchronous.
   * @throws `TypeError` for a missing or oversized id. `STORE_UNAVAILABLE` with effect `unknown` where the answer to the commit
   * was lost: let the broker deliver it again, the inbox knows. `OUTCOME_UNKNOWN` where the handler has ended the transaction
   * itself (`CREATE TABLE` on MySQL) and then thrown: what it wrote until then may be committed.
   */
  process<T>(message: InboxMessage, handler: (tx: Tx) => T | Promise<T>): Promise<InboxOutcome<T>>
  /**
   * The same for many at once: one transaction, and one statement for all ids. The handler is given those that are new, in
   * their order, each once, and is not called where there are none.
   *
   * Limit: all or nothing. Where it throws, nobody knows which message was to blame, so no attempt is counted: process them
   * one by one then.
   */
  processBatch<M extends InboxMessage, T>(
    messages: readonly M[],
    handler: (tx: Tx, fresh: readonly M[]) => T | Promise<T>,
  ): Promise<BatchOutcome<M, T>>
  /**
   * Takes the message in a transaction that you have begun, whose handle may be of any package that `once.within` takes.
   * Answers whether it is new: if so, write its effect in the same transaction. It commits and rolls back with it.
   *
   * On SQLite the answer is there at once. Under REPEATABLE READ or SERIALIZABLE, PostgreSQL refuses a message that another
   * transaction has committed since yours began: `STORE_UNAVAILABLE` with effect `none`; roll back and run yours again.
   * `maxAttempts` does not count here.
   */
  within(tx: unknown, message: InboxMessage): boolean | Promise<boolean>
  /** Lists messages that have failed, in the order of their ids. */
  failures(query?: FailureQuery): Promise<readonly FailedMessage[]>
  /**
   * Lets a dead message be processed again, with all its attempts; its history says so. Answers whether it was dead. The
   * inbox keeps no bodies: have the broker deliver it again.
   */
  redrive(message: InboxMessage, note: { readonly reason: string }): Promise<boolean>
  /**
   * Deletes what is past its retention, in statements of at most 1,000 rows, until there is no more or `limit` ids (default: no
   * limit) are reached. Answers how many ids it has forgotten.
   */
  purge(limit?: number): Promise<number>
  /**
   * Looks for what would weaken the promise.
   *
   * @param facts.producerRetryMs - The longest time from the first to the last delivery of a message, in ms.
   */
  doctor(facts?: { readonly producerRetryMs?: number }): Promise<readonly Finding[]>
  /** Applies the migrations that are missing; answers their names. */
  migrate(): Promise<readonly string[]>
  /** Refuses further calls, and waits for the deleting in the background. */
  close(): Promise<void>
}
