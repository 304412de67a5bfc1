import type { Clock, Random, Timers } from '../core/clock.ts'
import type { ReplicaWait } from '../drivers/redis/index.ts'

/** A command or an argument: text is sent as UTF-8, bytes as they are, numbers as their digits. */
export type CommandArgument = string | Uint8Array | number | bigint

/** One command of {@link SafeRedis.atomic}: its name, then its arguments. */
export type CommandLine = readonly [command: string, ...args: CommandArgument[]]

/**
 * What a command answers, in the form that the bare client answers it in. One difference: a whole number beyond 2^53,
 * which the clients round, is an exact `bigint` where the command was guarded.
 */
export type RedisValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Buffer
  | readonly RedisValue[]
  | { readonly [field: string]: RedisValue }

/** Options of {@link SafeRedis.exec} and {@link SafeRedis.atomic}. */
export interface ExecOptions {
  /**
   * Names the operation: who repeats the same commands under the same name within `retentionMs`, even from another
   * process, gets the first reply. 1 to 200 bytes, well-formed. Default: a random name that nobody else can repeat.
   *
   * Limit: in a cluster a name is looked up in the hash slot of the keys, so repeat it with the same keys. A read alone
   * changes nothing and is not remembered: it is answered anew.
   */
  readonly opId?: string
  /** Whether bulk replies are text (UTF-8) or bytes. Default: `replies` of the wrapper. */
  readonly replies?: 'text' | 'bytes'
}

/** Options of `safeRedis`. */
export interface SafeRedisOptions {
  /**
   * `strict` guards every write. `fast` guards only what cannot be repeated, and repeats as it is what leaves the same
   * state and answers the same (`SET`, `HMSET`, `SUNIONSTORE`…). Default `strict`.
   *
   * Limit of `fast`: it is right only while nobody else writes the same keys, this process included: a repeated `SET`
   * undoes what came between.
   */
  readonly mode?: 'strict' | 'fast'
  /**
   * How long a command may take with all its attempts, in ms; nothing of it is executed later than that on the server's
   * clock; the wait for its turn counts. Default 10,000. The call ends at the latest two attempts after it: twice
   * `attemptTimeoutMs`, with `wait` and its `timeoutMs`.
   */
  readonly deadlineMs?: number
  /**
   * How long the reply to an operation with an `opId` is remembered, in ms, counted from its execution. Default
   * 600,000. It has to exceed `deadlineMs` by more than 5,000. Operations without an `opId` are remembered for twice
   * the deadline and 5,000 ms, if that is less.
   */
  readonly retentionMs?: number
  /** What the keys that remember operations begin with: 1 to 64 letters, digits, `_`, `-`, `.` and `:`. Default `onceward:retry`. */
  readonly prefix?: string
  /** How long one attempt may wait for its reply, in ms. Default 1,000. */
  readonly attemptTimeoutMs?: number
  /** How many commands may be on their way at once; more wait. Default 1,000. */
  readonly maxInFlight?: number
  /** How many commands may wait for their turn; one more is refused with `STORE_UNAVAILABLE`. Default 10,000. */
  readonly maxWaiting?: number
  /**
   * Larger replies of guarded commands are answered once and not kept, in bytes, at most 512 MiB: a repetition then ends
   * in `OUTCOME_NOT_REPLAYABLE` (effect done). Default 1 MiB.
   */
  readonly maxReplyBytes?: number
  /** Whether bulk replies are text (UTF-8) or bytes. Default `text`. */
  readonly replies?: 'text' | 'bytes'
  /**
   * Waits (`WAIT`) until so many replicas have acknowledged a guarded command, for at most `timeoutMs`, in every
   * attempt. A command that was executed and not acknowledged in time ends in `OUTCOME_NOT_STORED` (effect done), with
   * its reply as `value`. Default: not waited for; then a failover can lose what was answered last.
   */
  readonly wait?: ReplicaWait
  /**
   * Whether a server is accepted that may throw keys away when its memory is full. Default false. Limit: an operation
   * whose memory was thrown away can be executed again.
   */
  readonly allowEviction?: boolean
  /** Is told what happens. It must not throw; what it throws is dropped. */
  readonly observer?: (event: SafeRedisEvent) => void
  readonly clock?: Clock
  readonly timers?: Timers
  readonly random?: Random
}

/** What happened beyond an ordinary call. It never holds keys, arguments or replies. */
export interface SafeRedisEvent {
  /**
   * `retry`: an attempt failed and another one follows. `replay`: a duplicate found its command executed already, and
   * was answered the first reply. `ambiguous`: a command ended with its effect unknown.
   */
  readonly type: 'retry' | 'replay' | 'ambiguous'
  /** The name of the command: `INCR`. `ATOMIC` for several. */
  readonly command: string
  /** Which attempt it is about, from 1; for `retry` the one that follows. Not told for `ambiguous`. */
  readonly attempt?: number
  /** Why, where something failed. */
  readonly error?: unknown
}

/** Counts since the wrapper was made. */
export interface SafeRedisStats {
  /** Calls that have begun. */
  readonly calls: number
  /** Attempts that followed a failed one. */
  readonly retries: number
  /** Duplicates that were answered the first reply. */
  readonly replays: number
  /** Calls that ended in `AMBIGUOUS_RESULT`. */
  readonly ambiguous: number
  /** Commands on their way now. */
  readonly inFlight: number
  /** Commands that wait for their turn now. */
  readonly waiting: number
}

/** A client that repeats safely; made by `safeRedis`. */
export interface SafeRedis {
  /**
   * Sends a command and answers its reply; `call('INCRBY', 'stock', -1)`. After a lost reply or connection it is sent
   * again by itself: a read as it is, a write under a marker by which the server executes it at most once.
   *
   * Limit: blocking commands, scripts, administration (`CONFIG SET`, `FLUSHALL`) and commands that the wrapper does not
   * know are sent once, and end in `AMBIGUOUS_RESULT` when their reply is lost. Commands that change what the connection is
   * (`SUBSCRIBE`, `MULTI`, `SELECT`…) are refused. No order is kept among concurrent calls.
   *
   * @throws `COMMAND_REFUSED` with the server's own words (effect none), `STORE_UNAVAILABLE` (effect none: it was never
   * executed), `AMBIGUOUS_RESULT` (effect unknown), `OUTCOME_NOT_REPLAYABLE` (effect done), `STORE_FULL`,
   * `STORE_READ_ONLY`, `STORE_MISCONFIGURED`, `STORE_CORRUPT`, `CLOSED`; `TypeError` for arguments that cannot be sent.
   */
  call(command: string, ...args: readonly CommandArgument[]): Promise<RedisValue>
  /**
   * As {@link call}, with options. With `opId` the operation is known by name: repeated after a crash, or by another
   * process, it is executed once and answered the same.
   *
   * @throws as {@link call}; `KEY_REUSED` when the name was used for another command or other arguments.
   */
  exec(command: string, args?: readonly CommandArgument[], options?: ExecOptions): Promise<RedisValue>
  /**
   * Executes several commands as one: nothing comes between, and all of them are executed once. It replaces `MULTI`. In
   * a cluster their keys have to lie in one hash slot.
   *
   * Limit: as with `MULTI`, nothing is undone. When a command is answered an error, the others take effect all the
   * same, and the call ends in `COMMAND_REFUSED` (effect done; none where all failed) with all replies as `value`, errors in
   * their places. At most 30,000 words altogether.
   */
  atomic(commands: readonly CommandLine[], options?: ExecOptions): Promise<readonly RedisValue[]>
  /** Calls `listener` for each event of a type, until the returned function is called. */
  on(type: SafeRedisEvent['type'], listener: (event: SafeRedisEvent) => void): () => void
  /** Counts for an alert: `replays` are the duplicates that the bare client would have executed. */
  stats(): SafeRedisStats
  /**
   * Takes no more calls, and resolves once those that run have ended. The client stays open.
   *
   * Limit: a command that waits for ever (`BLPOP` with 0) holds it up until the client itself is closed.
   */
  close(): Promise<void>
}
