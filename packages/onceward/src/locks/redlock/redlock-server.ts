import type { Clock, Timers } from '../../core/clock.ts'
import { pause } from '../../core/pause.ts'
import {
  callGroups,
  hashTagOf,
  type RedisClient,
  type RedisReply,
  redisConnection,
  scriptCalls,
} from '../../drivers/redis/index.ts'
import type { ExtendRequest, HeldLock } from '../lock-backend.ts'
import { LOCKS_USE } from '../lock-server-use.ts'
import { noted, whole } from '../redis-arguments.ts'
import type { CheckedOptions } from './redlock-options.ts'
import type { RedlockScripts } from './redlock-scripts.ts'

/** So many locks are extended by one call to a server. */
const MOST_EXTENDED = 500

/** The pauses between two tries to clean up on a server that does not answer, in ms. */
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 2000

/** What a server answers to a step: first, whether it took it. */
export type Vote = readonly RedisReply[]

/** One of the servers of a redlock. */
export interface RedlockServer {
  readonly where: string
  /** Carries out one step on one key. */
  run(step: Exclude<keyof RedlockScripts, 'extend'>, key: string, args: readonly string[]): Promise<Vote>
  /** Answers 1 for each lock that is extended here. */
  extend(requests: readonly ExtendRequest[]): Promise<Vote>
  /**
   * Takes back what a token, or one attempt of it, may have been given: again and again in the background until the server
   * answers, for at most `forMs`. It never rejects.
   */
  undo(held: HeldLock, attempt: string, forMs: number): Promise<void>
  close(): void
}

/** What {@link redlockServer} is made of. */
export interface ServerSettings {
  readonly options: CheckedOptions
  readonly scripts: RedlockScripts
  readonly clock: Clock
  readonly timers: Timers
}

/** Wraps the client of one server, which stays the caller's. @throws `TypeError` for what is no usable client. */
export function redlockServer(client: RedisClient, settings: ServerSettings): RedlockServer {
  const { options, scripts, clock, timers } = settings
  const { prefix, allowEviction, commandTimeoutMs } = options
  const connection = redisConnection('redlock', client, { timeoutMs: commandTimeoutMs, timers })
  const calls = scriptCalls({ connection, wait: undefined, allowEviction, use: LOCKS_USE, what: 'a lock' })
  let closed = false

  const keyOf = (key: string) => `${prefix}:{${hashTagOf(key)}}:redlock:${key}`
  const run: RedlockServer['run'] = (step, key, args) => calls.run(scripts[step], [keyOf(key)], args)

  return {
    where: connection.where,
    run,
    async extend(requests) {
      const replies: RedisReply[] = requests.map(() => 0)
      const keys = requests.map(({ key }) => key)
      const groups = callGroups(keys, { cluster: connection.cluster, most: MOST_EXTENDED })
      await Promise.all(
        groups.map(async (places) => {
          const some = places.map((place) => requests[place] as ExtendRequest)
          const answers = await calls.run(
            scripts.extend,
            some.map(({ key }) => keyOf(key)),
            some.flatMap(({ token, ttlMs, meta }) => [token, whole(ttlMs), noted(meta)]),
          )
          for (const [index, place] of places.entries()) replies[place] = answers[index] as RedisReply
        }),
      )
      return replies
    },
    async undo({ key, token }, attempt, forMs) {
      const until = clock.monotonic() + forMs
      let pauseMs = FIRST_PAUSE_MS
      while (!closed) {
        try {
          await run('release', key, [token, attempt])
          return
        } catch {
          if (clock.monotonic() + pauseMs > until) return
          await pause({ timers }, pauseMs, { background: true })
          pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
        }
      }
    },
    close() {
      closed = true
      calls.close()
    },
  }
}
