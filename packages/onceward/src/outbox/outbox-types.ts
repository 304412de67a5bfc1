import type { Finding } from '../core/store.ts'
import type { DatabaseHandle, DatabaseOptions } from '../drivers/database/index.ts'
import type { Relay, RelayOptions } from './relay-types.ts'

/** Options of `createOutbox`, beside those of its database. */
export interface OutboxOptions extends DatabaseOptions {
  /** A `Pool` of `pg`, a root `sql` of `postgres`, a pool of `mysql2`, the path of a SQLite file, or an open one. */
  readonly db: DatabaseHandle
  /** The most bytes that a payload may have as it is stored: JSON text, or bytes in base64. Default 1 MiB. */
  readonly maxPayloadBytes?: number
  /** How long a published event is kept, in ms. Default 0: it is deleted when it was published. */
  readonly retentionMs?: number
  /**
   * Whether `add` wakes the relays soon after, on PostgreSQL also those of other processes (LISTEN and NOTIFY). Relays poll in
   * any case. Default true.
   */
  readonly hints?: boolean
}

/** An event that is to be published. */
export interface OutboxEvent {
  /** Where to, as `publish` understands it: 1 to 255 bytes of UTF-8. */
  readonly topic: string
  /** What is kept in order, within its topic: 1 to 1,024 bytes. Without one the event is in no order with others. */
  readonly key?: string
  /** JSON data, or bytes. What JSON would change or lose (BigInt, Map, NaN, functions…) is refused. */
  readonly payload: unknown
  /** Short texts that go with it, 16 KiB in all. */
  readonly headers?: Readonly<Record<string, string>>
  /** Default a new UUIDv7. Of your own: 1 to 100 printable ASCII characters, never the same twice. */
  readonly id?: string
}

/**
 * Where an event is: `ready` for a relay, `leased` by one, `waiting` for its next attempt, `dead` when nobody tries again, or
 * `sent` and kept for a while.
 */
export type EventState = 'ready' | 'leased' | 'waiting' | 'dead' | 'sent'

/** What became of an event once, oldest first; the latest 16 are kept. */
export interface EventHistoryEntry {
  /** In ms since the epoch, by the server's clock, give or take. */
  readonly at: number
  /** `lapsed`: a relay had it and ended without a word. */
  readonly event: 'failed' | 'lapsed' | 'dead' | 'redriven'
  readonly attempt: number
  /** The error in short, or who has decided and why. */
  readonly note?: string
}

/** An event as it is stored. */
export interface StoredEvent {
  readonly id: string
  readonly topic: string
  readonly key?: string
  readonly payload: unknown
  readonly headers: Readonly<Record<string, string>>
  readonly state: EventState
  /** Whether it holds up the later ones of its key, or would if there were any. */
  readonly blocks: boolean
  readonly attempts: number
  /** Until when it is leased, waits or is kept, in ms since the epoch. */
  readonly until?: number
  readonly createdAt: number
  readonly history: readonly EventHistoryEntry[]
  /** Where a page ends: `after` of the next one. */
  readonly position: string
}

/** Which events to list. */
export interface EventQuery {
  readonly state?: EventState
  readonly topic?: string
  /** `position` of the last event of the page before. */
  readonly after?: string
  /** 1 to 1,000. Default 100. */
  readonly limit?: number
}

/** What the outbox holds now. */
export interface OutboxStats {
  readonly ready: number
  readonly leased: number
  readonly waiting: number
  readonly dead: number
  readonly sent: number
  /** Those that will be published without anybody's help: ready, leased and waiting. */
  readonly pending: number
  /** The age of the oldest pending one in ms; 0 without one. */
  readonly oldestPendingMs: number
}

/** Which dead events are meant: some by their ids, or all of a topic, or all, at most `limit` (default 1,000) a call. */
export type DeadEvents =
  | { readonly ids: readonly string[] }
  | { readonly topic?: string; readonly limit?: number }

/** Why somebody decides about dead events. */
export interface Reasoned {
  /** For the history. */
  readonly reason?: string
}

/** Events that are written with the business data, and published afterwards. */
export interface Outbox {
  /**
   * Adds events in the open transaction of the caller: they commit or vanish with it. Answers the id of the event, or those of
   * all in their order; at once on SQLite, where the answer is no promise.
   *
   * Order: of two events with one topic and key, the one whose transaction was committed before the other was added is published
   * first; so are events of one transaction in the order of their adding. Transactions that overlap in time are in no order
   * unless a lock makes one wait for the other: take the lock of the row first, then add.
   *
   * @throws `TypeError` before anything is sent for an event that cannot be stored, or a handle without an open transaction.
   */
  add(tx: unknown, event: OutboxEvent): string | Promise<string>
  add(tx: unknown, events: readonly OutboxEvent[]): readonly string[] | Promise<readonly string[]>
  /** Makes a relay, which publishes once it was started. */
  relay(options: RelayOptions): Relay
  /** Wakes relays, of other processes too where the database can: for right after a commit. A hint and no more. */
  wake(): void
  get(id: string): Promise<StoredEvent | undefined>
  /** Events in the order in which they were added. */
  list(query?: EventQuery): Promise<readonly StoredEvent[]>
  /** Counts all rows: not for every second. */
  stats(): Promise<OutboxStats>
  /**
   * Lets dead events be tried again, from their first attempt; answers how many. They come before later ones of their key that
   * are not published yet; those that `onDead: 'skip'` has let pass were published before.
   */
  redrive(which: DeadEvents, why?: Reasoned): Promise<number>
  /** Deletes dead events that nobody will publish; what they held up goes on. Answers how many. */
  discard(ids: readonly string[]): Promise<number>
  /** Deletes published events whose time is over, at most `limit` (default 1,000); relays do it too. Answers how many. */
  purge(limit?: number): Promise<number>
  /** Looks for what keeps events from being published. */
  doctor(): Promise<readonly Finding[]>
  /** Brings the schema up to date; answers the migrations it applied. */
  migrate(): Promise<readonly string[]>
  /** Stops its relays, and refuses further calls. A pool or a handle stays its owner's. */
  close(): Promise<void>
}
