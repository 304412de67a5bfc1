import { OncewardError } from '../core/errors.ts'
import { refuseUnknown } from '../core/known-fields.ts'
import { systemClock, systemRandom, systemTimers } from '../core/system.ts'
import { type RedisClient, redisConnection } from '../drivers/redis/index.ts'
import { openLink } from '../drivers/redis/open-link.ts'
import { assertAtomic, atomicReplies } from './atomic-commands.ts'
import { attempts } from './attempts.ts'
import { callTurns } from './call-turns.ts'
import { type CheckedCommand, checkedCommand } from './checked-command.ts'
import { assertSendsOnce, databaseOf, refuseKeyPrefix } from './client-options.ts'
import { commandRefused } from './command-errors.ts'
import { plainCommand, sendingOf } from './command-sending.ts'
import { commandTable } from './command-table.ts'
import { checkedOpId } from './command-words.ts'
import { replyOf } from './guard-answers.ts'
import { guardBatches } from './guard-batches.ts'
import type { GuardContext } from './guard-context.ts'
import { guardScript, largestReply } from './guard-lua.ts'
import { guardedCall } from './guarded-calls.ts'
import { guardedOperation } from './guarded-operation.ts'
import { inFlight } from './in-flight.ts'
import { lines } from './lines.ts'
import { repeatedCall, singleCall } from './plain-calls.ts'
import { type DecodedReply, ErrorReply, type ReplyForm } from './reply-codec.ts'
import { replyShaper } from './reply-shaper.ts'
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
const NOTHING_GIVEN: ExecOptions = {}

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
      attemptTimeoutMs: checked.attemptTimeoutMs,
      wait: checked.wait,
      monotonic,
    }),
    options: checked,
    largest: largestReply(checked.maxReplyBytes),
    events,
    clock,
    timers,
    random,
  }
  const place = { prefix: checked.prefix, tags: connection.cluster ? slotTags() : undefined, random }
  const shaper = replyShaper(client, open.link.client, () => facts.resp3)
  const turns = callTurns(flight, events, monotonic)

  const formOf = (replies: ExecOptions['replies']): ReplyForm => ({
    bulk: replies === undefined ? checked.replies : checkedReplies(replies),
    integers: shaper.integers,
  })

  const guarded = async (
    commands: readonly CheckedCommand[],
    atomic: boolean,
    opId: string | undefined,
    form: ReplyForm,
    begun: number,
  ) => {
    const operation = guardedOperation(place, commands, atomic, opId)
    const { encoded, unacknowledged } = await guardedCall(context, operation, begun)
    const reply = shaped(replyOf(context, operation, encoded, form), commands, atomic)
    if (unacknowledged === undefined) {
      if (reply instanceof ErrorReply) throw commandRefused(reply.text)
      return reply
    }
    const message = unacknowledged instanceof Error ? unacknowledged.message : String(unacknowledged)
    throw new OncewardError('OUTCOME_NOT_STORED', message, { cause: unacknowledged, value: reply })
  }
  const shaped = (reply: DecodedReply, commands: readonly CheckedCommand[], atomic: boolean): DecodedReply =>
    atomic
      ? (reply as readonly DecodedReply[]).map((part, at) => shaper.shaped(part, commands[at]))
      : shaper.shaped(reply, commands[0])

  /** Not `async`, to spare a promise for each command. Throws misuse at once; `exec` makes a rejection of it. */
  const execute = (
    command: string,
    args: readonly CommandArgument[],
    given: ExecOptions,
  ): Promise<RedisValue> => {
    if (given !== NOTHING_GIVEN) refuseUnknown('exec', given, EXEC_FIELDS)
    const opId = checkedOpId(given.opId)
    const form = formOf(given.replies)
    const only = checkedCommand(table, 'exec', command, args)
    const sending = sendingOf(only, checked.mode, opId)
    if (sending === 'guarded') {
      const run = (begun: number) => guarded([only], false, opId, form, begun) as Promise<RedisValue>
      return turns.run(only.name, run)
    }
    const send = sending === 'once' ? singleCall : repeatedCall
    const plain = plainCommand(only, form.bulk)
    return turns.run(only.name, (begun) => send(context, plain, begun) as Promise<RedisValue>)
  }
  const exec: SafeRedis['exec'] = (command, args = [], given = NOTHING_GIVEN) => {
    try {
      return execute(command, args, given)
    } catch (thrown) {
      return Promise.reject(thrown)
    }
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
      const checkedCommands = commands.map((words: unknown) => {
        if (!Array.isArray(words)) throw new TypeError('atomic needs each command as a list of words')
        return checkedCommand(table, 'atomic', words[0], words.slice(1))
      })
      assertAtomic(checkedCommands)
      if (checkedCommands.length === 0) return []
      return turns.run('ATOMIC', async (begun) =>
        atomicReplies(
          checkedCommands,
          (await guarded(checkedCommands, true, opId, form, begun)) as readonly DecodedReply[],
        ),
      )
    },
    on: events.on,
    stats: () => ({
      calls: turns.calls,
      retries: events.counts.retry,
      replays: events.counts.replay,
      ambiguous: events.counts.ambiguous,
      inFlight: flight.running,
      waiting: flight.waiting,
    }),
    async close() {
      await turns.close()
      ways.close()
      connection.close()
    },
  }
}
