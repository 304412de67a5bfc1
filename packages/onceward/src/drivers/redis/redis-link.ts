/** What may be sent as part of a command. */
export type RedisArgument = string | Buffer

/** What a command answers: bulk and simple strings are bytes, never text. */
export type RedisReply = number | Buffer | string | null | boolean | readonly RedisReply[]

/** Which package the client is of. */
export type RedisClientKind = 'node-redis' | 'ioredis'

/** What the client talks to. */
export type RedisTopology = 'standalone' | 'sentinel' | 'cluster'

/** How commands are sent over one kind of client: the only place that knows its methods. */
export interface RedisLink {
  readonly client: RedisClientKind
  readonly topology: RedisTopology
  /** Where the server is, for messages. Never holds a password. */
  readonly where: string
  /** Why nothing can be sent over this client any more, or not yet; nothing when it can. */
  closedReason(): string | undefined
  /** Whether a command would leave at once. */
  isReady(): boolean
  /** Calls `back` once, when the client is ready; answers a function that forgets it. */
  onceReady(back: () => void): () => void
  /**
   * Sends commands one right after the other over one connection: of a cluster to the node that serves `key`.
   * What was not sent when `signal` aborts is taken back where the client can do that. Without a signal it is sent when
   * it can be, however late.
   */
  send(
    commands: readonly (readonly RedisArgument[])[],
    key: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<unknown>[]
  /**
   * Sends one command once, and answers in the form of the client itself: as its user has set it up, or with bulk strings
   * as bytes.
   */
  sendPlain(
    command: readonly RedisArgument[],
    key: RedisArgument | undefined,
    form: 'own' | 'bytes',
    signal: AbortSignal | undefined,
  ): Promise<unknown>
  /** Sends a command to every node that accepts writes. */
  sendToMasters(command: readonly RedisArgument[], signal: AbortSignal): Promise<unknown>[]
  /** Makes the connection on which channels are listened to. */
  openSubscriber(events: SubscriberEvents): SubscriberLink
  /** Closes what was opened here for sending; subscribers are closed by themselves. */
  close(): void
}

/** What happens on the connection of a {@link SubscriberLink}. */
export interface SubscriberEvents {
  message(channel: string, payload: string): void
  /** The connection can take subscriptions; those of before may be gone. */
  ready(): void
  /** The connection is lost. */
  down(): void
}

/** One connection that only listens. */
export interface SubscriberLink {
  /** Whether `down` is told of. Where it is not, a silent loss has to be reckoned with. */
  readonly tellsDown: boolean
  subscribe(channels: readonly string[]): Promise<void>
  unsubscribe(channels: readonly string[]): Promise<void>
  close(): void
}
