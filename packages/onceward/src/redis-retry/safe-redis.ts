import { isOncewardError, OncewardError } from '../core/errors.ts'
import { refuseUnknown } from '../core/known-fields.ts'
import { systemClock, systemRandom, systemTimers } from '../core/system.ts'
import { failure, type RedisClient, redisConnection } from '../drivers/redis/index.ts'
import { openLink } from '../drivers/redis/open-link.ts'
import { assertAtomic, atomicReplies, type Line } from './atomic-commands.ts'
import { attempts } from './attempts.ts'
import { assertSendsOnce, databaseOf, refuseKeyPrefix } from './client-options.ts'
import { commandRefused } from './command-errors.ts'
import { commandTable, repeatsAsIt, waitsMs } from './command-table.ts'
import { checkedOpId, wordsOf } from './command-words.ts'
import { replyOf } from './guard-answers.ts'
import { guardBatches } from './guard-batches.ts'
import type { GuardContext } from './guard-context.ts'
import { guardScript } from './guard-lua.ts'
import { guardedCall } from './guarded-calls.ts'
import { guardedOperation } from './guarded-operation.ts'
import { inFlight } from './in-flight.ts'
import { lines } from './lines.ts'
import { repeatedCall, singleCall } from './plain-calls.ts'
import { type DecodedReply, ErrorReply, type ReplyForm } from './reply-codec.ts'
import { resp3Shape } from './resp3-shapes.ts'
import { retryEvents } from './retry-events.ts'
import { checkedReplies, checkedRetryOptions } from './retry-options.ts'
import type {
  CommandArgument,
  CommandLine,
  ExecOptions,
  RedisValue,
  SafeRedis,
  SafeRedisOptions,
} from './retry-types.ts'
import { serverFacts } from './server-facts.ts'
import { slotTags } from './slot-tags.ts'
import { timeLimits } from './time-limits.ts'

const EXEC_FIELDS = ['opId', 'replies'] as const

/**
 * Wraps a client so that each command takes effect once, whatever happens to its connection, and its caller gets the
 * right reply, or an error that says plainly what is known.
 *
 * - `client` is one of `redis` (node-redis 5 and 6) or `ioredis` (5 and 6), to a single server, behind Sentinel or to a
 *   Cluster: Redis 6.2 or later, or Valkey. It stays yours, and may be used beside; close it after the wrapper.
 * - A write is one call of a fixed script, one round trip. The server executes it at most once, and not after its deadline.
 * - The client must not send again by itself: its options are checked ({@link inspectClient}).
 *
 * Limit: replication of Redis is asynchronous. A failover can lose what was answered last, with the memory of it; a
 * repetition is then executed again. See `wait`.
 *
 * @throws `TypeError` for what is no usable client, for options that make no sense, and for options of the client by
 * which it would send again, each with its mend.
 * @example
 * import { safeRedis } from 'onceward/redis-retry'
 * import { Redis } from 'ioredis'
 *
 * const client = new Redis({
 *   autoResendUnfulfilledCommands: false,
 *   enableOfflineQueue: false,
 *   maxRetriesPerRequest: 0,
 * })
 * const redis = safeRedis(client)
 * await redis.call('INCR', 'orders')
 * await redis.exec('DECRBY', ['stock', 1], { opId: 'order-42' })
 */
export function safeRedis(client: RedisClient, options: SafeRedisOptions = {}): SafeRedis {
  const checked = checkedRetryOptions(options)
  refuseKeyPrefix('safeRedis', client)
  const open = openLink('safeRedis', client)
  assertSendsOnce(client)
  const clock = options.clock ?? systemClock
  const timers = options.timers ?? systemTimers
  const random = options.random ?? systemRandom
  const connection = redisConnection('safeRedis', client, {
    timeoutMs: checked.attemptTimeoutMs,
    timers,
    open,
  })
  const table = commandTable()
  const events = retryEvents(options.observer)
  const monotonic = () => clock.monotonic()
  const flight = inFlight({
    most: checked.maxInFlight,
    mostWaiting: checked.maxWaiting,
    waitMs: checked.deadlineMs,
    limits: timeLimits(timers, monotonic),
  })
  const known = { allowEviction: checked.allowEviction, database: databaseOf(client) }
  const facts = serverFacts(connection, known, { clock, timers })
  const ways = lines(client, open, monotonic)
  const single = attempts(ways, timers, monotonic)
  const context: GuardContext = {
    open,
    attempts: single,
    facts,
    batches: guardBatches({
      attempts: single,
      script: guardScript(),
      maxReplyBytes: checked.maxReplyBytes,
      attemptTimeoutMs: checked.attemptTimeoutMs,
      wait: checked.wait,
      monotonic,
    }),
    options: checked,
    events,
    clock,
    timers,
    random,
  }
  const place = { prefix: checked.prefix, tags: connection.cluster ? slotTags() : undefined, random }
  const ofClient = client as { readonly options?: { readonly [name: string]: unknown } }
  const nodes = (ofClient.options?.['redisOptions'] ?? {}) as { readonly [name: string]: unknown }
  const own = (name: string) => ofClient.options?.[name] ?? nodes[name]
  const integers = open.link.client === 'ioredis' && own('stringNumbers') === true ? 'text' : 'number'
  const shapesOf3 = () =>
    facts.resp3 && (open.link.client === 'node-redis' || own('replyMapping') === 'resp3')
  let calls = 0
  let closed = false
  let idle: (() => void) | undefined

  const line = (where: string, command: unknown, args: unknown): Line => {
    const words = wordsOf(where, command, args)
    const entry = table.find(words)
    const name = entry?.label ?? String(words[0]).toUpperCase()
    if (entry?.class !== 'connection') return { words, name, entry }
    throw new TypeError(
      `safeRedis does not send ${name}: it would change what the connection is, for all who use it, and be forgotten by a reconnection. ${MENDS[entry.name] ?? 'Use a client of its own for it.'}`,
    )
  }
  const formOf = (replies: ExecOptions['replies']): ReplyForm => ({
    bulk: replies === undefined ? checked.replies : checkedReplies(replies),
    integers,
  })

  /** Runs a call in its turn, and counts how it ended. */
  const inTurn = async <T>(name: string, run: (begun: number) => Promise<T>): Promise<T> => {
    if (closed) throw failure('CLOSED', 'this wrapper was closed')
    calls++
    const begun = monotonic()
    const turn = flight.enter()
    if (turn !== undefined) await turn
    try {
      return await run(begun)
    } catch (error) {
      if (isOncewardError(error, 'AMBIGUOUS_RESULT')) events.ambiguous(name, error)
      throw error
    } finally {
      flight.leave()
      if (closed && flight.running === 0) idle?.()
    }
  }

  const guarded = async (
    lines: readonly Line[],
    atomic: boolean,
    opId: string | undefined,
    form: ReplyForm,
    begun: number,
  ) => {
    const operation = guardedOperation(place, lines, atomic, opId)
    const { encoded, unacknowledged } = await guardedCall(context, operation, begun)
    const reply = shaped(replyOf(context, operation, encoded, form), lines, atomic)
    if (unacknowledged === undefined) return reply
    const message = unacknowledged instanceof Error ? unacknowledged.message : String(unacknowledged)
    throw new OncewardError('OUTCOME_NOT_STORED', message, { cause: unacknowledged, value: reply })
  }
  const shaped = (reply: DecodedReply, lines: readonly Line[], atomic: boolean): DecodedReply => {
    const all = shapesOf3()
    const one = (part: DecodedReply, at: number) => {
      const note = lines[at]?.entry?.note ?? ''
      // ioredis makes an object of what HGETALL answers, whatever it speaks.
      return all || (note === 'map' && open.link.client === 'ioredis')
        ? resp3Shape(note, part, lines[at]?.words ?? [])
        : part
    }
    return atomic ? (reply as readonly DecodedReply[]).map(one) : one(reply, 0)
  }

  const exec: SafeRedis['exec'] = async (command, args = [], given = {}) => {
    refuseUnknown('exec', given, EXEC_FIELDS)
    const opId = checkedOpId(given.opId)
    const form = formOf(given.replies)
    const only = line('exec', command, args)
    const { words, name, entry } = only
    const waiting = waitsMs(entry, words)
    const once = entry === undefined || entry.class === 'once' || waiting !== undefined
    if (once && opId !== undefined && !(entry?.class === 'read')) {
      throw new TypeError(
        `exec cannot guard ${name}, so an opId would promise what is not kept; leave it out`,
      )
    }
    const again =
      entry?.class === 'read' ||
      (checked.mode === 'fast' && opId === undefined && entry !== undefined && repeatsAsIt(entry, words))
    return inTurn(name, async (begun) => {
      if (!once && !again) {
        const reply = await guarded([only], false, opId, form, begun)
        if (reply instanceof ErrorReply) throw commandRefused(reply.text)
        return reply as RedisValue
      }
      const plain = {
        name,
        words,
        key: entry?.keysOf(words)[0],
        form: form.bulk === 'bytes' ? 'bytes' : 'own',
        writes: entry?.class !== 'read',
        waitsMs: waiting,
        writesBeforeItFails: entry === undefined || /^(?:EVAL|EVALSHA|FCALL|MIGRATE)$/.test(name),
      } as const
      return (await (once ? singleCall : repeatedCall)(context, plain, begun)) as RedisValue
    })
  }

  return {
    call: (command, ...args: readonly CommandArgument[]) => exec(command, args),
    exec,
    async atomic(commands: readonly CommandLine[], given: ExecOptions = {}) {
      refuseUnknown('atomic', given, EXEC_FIELDS)
      const opId = checkedOpId(given.opId)
      const form = formOf(given.replies)
      if (!Array.isArray(commands))
        throw new TypeError('atomic needs a list of commands, each a list of words')
      const lines = commands.map((words: unknown) => {
        if (!Array.isArray(words)) throw new TypeError('atomic needs each command as a list of words')
        return line('atomic', words[0], words.slice(1))
      })
      assertAtomic(lines)
      if (lines.length === 0) return []
      return inTurn('ATOMIC', async (begun) =>
        atomicReplies(lines, (await guarded(lines, true, opId, form, begun)) as readonly DecodedReply[]),
      )
    },
    on: events.on,
    stats: () => ({
      calls,
      retries: events.counts.retry,
      replays: events.counts.replay,
      ambiguous: events.counts.ambiguous,
      inFlight: flight.running,
      waiting: flight.waiting,
    }),
    async close() {
      closed = true
      if (flight.running > 0) {
        await new Promise<void>((resolve) => {
          const before = idle
          idle = () => {
            before?.()
            resolve()
          }
        })
      }
      ways.close()
      connection.close()
    },
  }
}

/** What to use instead of commands that are refused. */
const MENDS: Readonly<Record<string, string>> = {
  MULTI: 'Use atomic([[…], […]]).',
  EXEC: 'Use atomic([[…], […]]).',
  DISCARD: 'Use atomic([[…], […]]).',
  WATCH: 'Use atomic([[…], […]]), or a client of its own for WATCH.',
  SUBSCRIBE: 'Use the subscribe of the client, on a client of its own.',
  PSUBSCRIBE: 'Use the subscribe of the client, on a client of its own.',
  SSUBSCRIBE: 'Use the subscribe of the client, on a client of its own.',
  UNSUBSCRIBE: 'Use the unsubscribe of the client that has subscribed.',
  PUNSUBSCRIBE: 'Use the unsubscribe of the client that has subscribed.',
  SUNSUBSCRIBE: 'Use the unsubscribe of the client that has subscribed.',
  SELECT: 'Choose the database when the client is made.',
  HELLO: 'Choose the protocol when the client is made.',
  AUTH: 'Give the client the password when it is made.',
  QUIT: 'Call close() of the wrapper, then close the client.',
}
