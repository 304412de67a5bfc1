import type { Clock, Random, Timers } from '../core/clock.ts'
import type { OpenLink } from '../drivers/redis/open-link.ts'
import type { RedisArgument } from '../drivers/redis/redis-link.ts'
import type { Attempts } from './attempts.ts'
import type { GuardBatches } from './guard-batches.ts'
import type { RetryEvents } from './retry-events.ts'
import type { CheckedRetryOptions } from './retry-options.ts'
import type { ServerFacts } from './server-facts.ts'

/** What is executed once. */
export interface GuardedOperation {
  /** For events and messages. */
  readonly name: string
  readonly commands: readonly GuardedCommand[]
  /** Whether the reply is a list with one reply for each command. */
  readonly atomic: boolean
  /** Where it is remembered. */
  readonly marker: string
  /** The marker, then all keys of the commands. */
  readonly keys: readonly RedisArgument[]
  /** In a cluster: the slot of all of them. */
  readonly slot: number
  /** About how much is sent for it, in bytes. */
  readonly bytes: number
  /** Of the words; nothing where nobody else knows the name of the operation. */
  readonly digest: string
  /** Whether the caller named the operation, so that earlier calls may have sent it. */
  readonly named: boolean
}

/** A command as the script takes it. */
export interface GuardedCommand {
  readonly words: readonly RedisArgument[]
  /** How a large integer is read exactly: `i` by `GET`, `h` by `HGET`. */
  readonly exactly: '' | 'i' | 'h'
}

/** What the guarded calls of one wrapper share. */
export interface GuardContext {
  readonly open: OpenLink
  readonly attempts: Attempts
  readonly facts: ServerFacts
  readonly batches: GuardBatches
  readonly options: CheckedRetryOptions
  /** The largest reply that is kept, as the script takes it. */
  readonly largest: string
  readonly events: RetryEvents
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
}
