/** An event as a relay hands it to `publish`. */
export interface RelayedEvent {
  /** The same at every attempt: what consumers recognise a repeated delivery by. */
  readonly id: string
  readonly topic: string
  readonly key?: string
  /** What was added: JSON data, or a `Uint8Array`. */
  readonly payload: unknown
  readonly headers: Readonly<Record<string, string>>
  /** 1, 2, 3… */
  readonly attempt: number
  /** When it was added, in ms since the epoch on the server's clock. */
  readonly createdAt: number
}

/** What `publish` is given beside the events. */
export interface PublishContext {
  /** Aborts when the attempt has taken too long, the lease is lost, or the relay stops: what is answered then changes nothing. */
  readonly signal: AbortSignal
}

/** What a relay tells. Payloads and keys are never in it. */
export interface RelayEvent {
  /**
   * `published`; `failed`, and tried again; `dead`, and not; `lost`: the lease was lost, another relay publishes it again;
   * `error`: the database could not be asked, the relay goes on trying.
   */
  readonly type: 'published' | 'failed' | 'dead' | 'lost' | 'error'
  /** Ids of the events; empty for `error`. */
  readonly ids: readonly string[]
  readonly attempt?: number
  readonly error?: unknown
}

/** Options of {@link Outbox.relay}. One of `publish` and `publishBatch` is given. */
export interface RelayOptions {
  /**
   * Publishes one event; resolves when the broker has it. What it throws makes the event wait for its next attempt. It may be
   * called again for an event that was published before: pass `id` on.
   */
  readonly publish?: (event: RelayedEvent, context: PublishContext) => unknown
  /**
   * Publishes many at once, those of one key in their order; resolves when the broker has all of them. When it throws, all are
   * published again, each by itself.
   */
  readonly publishBatch?: (events: readonly RelayedEvent[], context: PublishContext) => unknown
  /** Only events of these topics. Default all. */
  readonly topics?: readonly string[]
  /** How many events are taken at a time, 1 to 1,000. Default 100. */
  readonly batchSize?: number
  /** How many calls of `publish` or `publishBatch` run at once. Default 16. */
  readonly concurrency?: number
  /** How long taken events are this relay's without a renewal, in ms on the server's clock. Default 30,000, at least 100. */
  readonly leaseMs?: number
  /** How long one call may take, in ms; then it counts as failed. Default 10,000. */
  readonly publishTimeoutMs?: number
  /** How often it looks for events when nothing wakes it, in ms. Default 500. */
  readonly pollMs?: number
  /** After how many attempts an event is dead; `Infinity` for never. Default 20, which takes about an hour. */
  readonly maxAttempts?: number
  /** The pause before the second attempt, in ms; doubled each time, with jitter. Default 500. */
  readonly backOffMs?: number
  /** The longest pause between attempts, in ms. Default 300,000. */
  readonly maxBackOffMs?: number
  /**
   * Whether a dead event holds up the later ones of its key until it is redriven or discarded (`block`, the default), or they
   * go on without it (`skip`).
   */
  readonly onDead?: 'block' | 'skip'
  /** Is told what happens. What it throws is dropped. */
  readonly observer?: (event: RelayEvent) => void
}

/** Publishes events, until it is stopped. Several may run at once, in several processes. */
export interface Relay {
  /** Begins to publish; again is nothing. @throws `TypeError` after it was stopped. */
  start(): void
  /**
   * Takes no more events, gives running calls `graceMs` (default 10,000) to end, and gives back what was not begun. What still
   * runs then is aborted, and published again by another relay.
   */
  stop(options?: { readonly graceMs?: number }): Promise<void>
}
