import type { Timers } from '../../core/clock.ts'
import { systemTimers } from '../../core/system.ts'
import { type OpenLink, openLink } from './open-link.ts'
import { failure, type RedisWhere, redisFailure, replyWord } from './redis-errors.ts'
import type { RedisArgument, RedisClientKind, RedisReply } from './redis-link.ts'
import type { RedisScript } from './redis-script.ts'
import { type ChannelListener, redisSubscriber } from './redis-subscriber.ts'

/** How one call is made. */
export interface RedisCallOptions {
  /** In a cluster: a key of the node that is to be asked. Needed where the command itself names none. */
  readonly key?: string
  /** How long the reply may take, in ms. Default: that of the connection. */
  readonly timeoutMs?: number
}

/** Waits until so many replicas have acknowledged what was written. */
export interface ReplicaWait {
  readonly replicas: number
  readonly timeoutMs: number
}

/** One way to talk to Redis, the same for every client and topology. */
export interface RedisConnection extends RedisWhere {
  readonly client: RedisClientKind
  /** Whether keys of one call have to lie in one hash slot. */
  readonly cluster: boolean
  /** How long a call may take, in ms. */
  readonly timeoutMs: number
  /** Sends a command. Bulk replies are bytes. @throws an error of ours, with the mend. */
  command(args: readonly RedisArgument[], options?: RedisCallOptions): Promise<RedisReply>
  /** Runs a script by its digest; sends its text once where the server has forgotten it. */
  script(
    script: RedisScript,
    keys: readonly RedisArgument[],
    args: readonly RedisArgument[],
    options?: RedisCallOptions,
  ): Promise<RedisReply>
  /** Runs a script, and answers beside its reply how many replicas have acknowledged it (`WAIT`). */
  scriptAcknowledged(
    script: RedisScript,
    keys: readonly RedisArgument[],
    args: readonly RedisArgument[],
    wait: ReplicaWait,
  ): Promise<readonly [reply: RedisReply, replicas: number]>
  /** Asks every node that accepts writes. */
  commandToMasters(args: readonly RedisArgument[]): Promise<readonly RedisReply[]>
  /** Listens to a channel, over one connection that all listeners share, until the returned function is called. */
  subscribe(channel: string, listener: ChannelListener): () => void
  /** Whether all subscriptions are confirmed, and a loss of them would be noticed. */
  isListening(): boolean
  isClosed(): boolean
  /** Closes what was opened here; the client stays open. */
  close(): void
}

/** Options of {@link redisConnection}. */
export interface RedisConnectionOptions {
  /** How long a call may take, in ms. Default 5,000. */
  readonly timeoutMs?: number
  readonly timers?: Timers
  /** The client as it was recognised already; then it is not looked at. */
  readonly open?: OpenLink
}

/**
 * Wraps a client, which stays the caller's.
 *
 * - A call ends within its time, whatever the client queues or repeats; what comes later is ignored.
 * - A call waits for a client that is reconnecting, instead of being left in its queue.
 *
 * Limit: what has left may be carried out after its time, so whatever is sent has to be harmless when it is late.
 *
 * @param who - Who asks, for messages about misuse: `redisStore`.
 * @throws `TypeError` for what is not a usable client.
 */
export function redisConnection(
  who: string,
  client: unknown,
  options: RedisConnectionOptions = {},
): RedisConnection {
  const { link, whenReady } = options.open ?? openLink(who, client)
  const timers = options.timers ?? systemTimers
  const timeoutMs = options.timeoutMs ?? 5000
  const about: RedisWhere = { where: link.where, topology: link.topology }
  const subscriber = redisSubscriber(link, timers)
  const never = new AbortController().signal
  let closed = false

  /** Sends once the client is ready, and gives up after `ms`. */
  function bounded<T>(ms: number, send: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      // ioredis takes nothing back, and to make a signal costs as much as to send a command.
      const stop = link.client === 'ioredis' ? undefined : new AbortController()
      const fail = (error: unknown) => {
        cancel()
        reject(redisFailure(error, about))
      }
      let forget = () => {}
      const cancel = timers.after(ms, () => {
        forget()
        stop?.abort()
        fail(
          failure(
            'STORE_UNAVAILABLE',
            `${link.where} did not answer within ${ms} ms; check that it is up and reachable`,
          ),
        )
      })
      const start = () => {
        const reason = closed ? 'this store was closed' : link.closedReason()
        if (reason !== undefined) return fail(failure(closed ? 'CLOSED' : 'STORE_UNAVAILABLE', reason))
        try {
          send(stop?.signal ?? never).then((reply) => {
            cancel()
            resolve(reply)
          }, fail)
        } catch (error) {
          fail(error)
        }
      }
      if (link.isReady() || link.closedReason() !== undefined) start()
      else forget = whenReady(start)
    })
  }
  const evalArgs = (
    script: RedisScript,
    keys: readonly RedisArgument[],
    args: readonly RedisArgument[],
    whole: boolean,
  ) => [whole ? 'EVAL' : 'EVALSHA', whole ? script.text : script.sha, String(keys.length), ...keys, ...args]
  const firstKey = (keys: readonly RedisArgument[]) => (keys[0] === undefined ? undefined : String(keys[0]))

  return {
    client: link.client,
    where: link.where,
    topology: link.topology,
    cluster: link.topology === 'cluster',
    timeoutMs,
    command: (args, { key, timeoutMs: ms = timeoutMs } = {}) =>
      bounded(ms, async (signal) => (await link.send([args], key, signal)[0]) as RedisReply),
    script: (script, keys, args, { key = firstKey(keys), timeoutMs: ms = timeoutMs } = {}) =>
      bounded(ms, (signal) => {
        const run = (whole: boolean) =>
          link.send([evalArgs(script, keys, args, whole)], key, signal)[0] as Promise<RedisReply>
        return run(false).catch((error: unknown) => {
          // Nothing has run: the server was restarted or its scripts were flushed.
          if (replyWord(error) !== 'NOSCRIPT') throw error
          return run(true)
        })
      }),
    scriptAcknowledged: (script, keys, args, { replicas, timeoutMs: waitMs }) =>
      bounded(timeoutMs + waitMs, async (signal) => {
        // Sent together: WAIT speaks of what its own connection has written.
        const run = (whole: boolean) =>
          Promise.allSettled(
            link.send(
              [evalArgs(script, keys, args, whole), ['WAIT', String(replicas), String(waitMs)]],
              firstKey(keys),
              signal,
            ),
          )
        let [reply, acknowledged] = await run(false)
        if (reply?.status === 'rejected' && replyWord(reply.reason) === 'NOSCRIPT') {
          ;[reply, acknowledged] = await run(true)
        }
        if (reply?.status !== 'fulfilled') throw reply?.reason
        if (acknowledged?.status !== 'fulfilled') throw acknowledged?.reason
        return [reply.value as RedisReply, Number(acknowledged.value)] as const
      }),
    commandToMasters: (args) =>
      bounded(timeoutMs, (signal) => Promise.all(link.sendToMasters(args, signal)) as Promise<RedisReply[]>),
    subscribe: subscriber.subscribe,
    isListening: subscriber.isUp,
    isClosed: () => closed,
    close() {
      closed = true
      subscriber.close()
      link.close()
    },
  }
}
