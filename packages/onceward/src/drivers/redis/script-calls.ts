import { isOncewardError, OncewardError } from '../../core/errors.ts'
import type { RedisConnection, ReplicaWait } from './redis-connection.ts'
import { failure } from './redis-errors.ts'
import type { RedisReply } from './redis-link.ts'
import type { RedisScript } from './redis-script.ts'
import { assertSafe, type ServerUse } from './server-facts.ts'

/** Runs scripts that answer a list. */
export interface ScriptCalls {
  /** Runs a script on keys of one hash slot. @throws an error of ours, with the mend. */
  run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<readonly RedisReply[]>
  /** The same for a script that has to last: it is answered once as many replicas have acknowledged it as were asked for. */
  runAcknowledged: ScriptCalls['run']
  close(): void
}

/** What {@link scriptCalls} is made of. */
export interface CallSettings {
  readonly connection: RedisConnection
  readonly wait: ReplicaWait | undefined
  readonly allowEviction: boolean
  readonly use: ServerUse
  /** What a key holds, for the message about one that holds something else: `a lock`. */
  readonly what: string
}

/**
 * Makes calls over a connection. The first looks at the server, and refuses one that may forget. A script says that a key
 * holds something else by answering a text instead of a list.
 */
export function scriptCalls(settings: CallSettings): ScriptCalls {
  const { connection, wait, allowEviction, use, what } = settings
  let safe = false
  let looking: Promise<void> | undefined
  let closed = false

  /** Looks once, however many callers come; a failure is tried again by the next. */
  const look = (): Promise<void> => {
    looking ??= assertSafe(connection, allowEviction, use).then(
      () => {
        safe = true
      },
      (error: unknown) => {
        looking = undefined
        throw error
      },
    )
    return looking
  }
  const open = async (): Promise<void> => {
    if (closed) throw failure('CLOSED', `what was made on ${connection.where} was closed; make it anew`)
    if (!safe) await look()
  }
  const run: ScriptCalls['run'] = async (script, keys, args) => {
    if (closed || !safe) await open()
    let reply: RedisReply
    try {
      reply = await connection.script(script, keys, args)
    } catch (error) {
      throw named(error, keys)
    }
    return listOf(reply, keys)
  }
  function listOf(reply: RedisReply, keys: readonly string[]): readonly RedisReply[] {
    if (Array.isArray(reply)) return reply as readonly RedisReply[]
    throw corruptKey({ where: connection.where, what }, keys[0])
  }
  function named(error: unknown, keys: readonly string[]): unknown {
    return isOncewardError(error, 'STORE_CORRUPT')
      ? corruptKey({ where: connection.where, what }, keys[0], error)
      : error
  }

  return {
    run,
    async runAcknowledged(script, keys, args) {
      if (!wait) return run(script, keys, args)
      await open()
      let answer: readonly [RedisReply, number]
      try {
        answer = await connection.scriptAcknowledged(script, keys, args, wait)
      } catch (error) {
        throw named(error, keys)
      }
      const [reply, acknowledged] = answer
      const list = listOf(reply, keys)
      if (acknowledged >= wait.replicas) return list
      throw failure(
        'STORE_UNAVAILABLE',
        `${acknowledged} of ${wait.replicas} replicas of ${connection.where} acknowledged a write within ${wait.timeoutMs} ms; bring the replicas back, or ask for fewer`,
      )
    },
    close() {
      closed = true
      connection.close()
    },
  }
}

/** The key holds something else than it should. */
export function corruptKey(
  { where, what }: { readonly where: string; readonly what: string },
  key = '',
  cause?: unknown,
): OncewardError {
  return new OncewardError(
    'STORE_CORRUPT',
    `the key ${key} in ${where} holds something else than ${what}; delete it if nothing needs it, and use a prefix that nobody else writes under`,
    cause === undefined ? {} : { cause },
  )
}
