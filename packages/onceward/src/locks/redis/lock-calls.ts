import { isOncewardError, OncewardError } from '../../core/errors.ts'
import {
  assertSafe,
  failure,
  type RedisConnection,
  type RedisReply,
  type RedisScript,
  type ReplicaWait,
  type ServerUse,
} from '../../drivers/redis/index.ts'

/** What locks need a server for, as messages say it. */
export const LOCKS_USE: ServerUse = {
  who: 'the locks',
  thrown: 'locks away, and others would be granted them while they are held',
  forgotten: 'others would be granted what is held',
}

/** Runs the scripts of locks. */
export interface LockCalls {
  /** Runs a script on locks of one hash slot. @throws an error of ours, with the mend. */
  run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<readonly RedisReply[]>
  /** Runs a script that may grant: it is answered once as many replicas have acknowledged it as were asked for. */
  runAcknowledged: LockCalls['run']
  close(): void
}

/** What {@link lockCalls} is made of. */
export interface CallSettings {
  readonly connection: RedisConnection
  readonly wait: ReplicaWait | undefined
  readonly allowEviction: boolean
}

/** Makes calls over a connection. The first looks at the server, and refuses one that may forget locks. */
export function lockCalls({ connection, wait, allowEviction }: CallSettings): LockCalls {
  let safe = false
  let looking: Promise<void> | undefined
  let closed = false

  /** Looks once, however many callers come; a failure is tried again by the next. */
  const look = (): Promise<void> => {
    looking ??= assertSafe(connection, allowEviction, LOCKS_USE).then(
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
    if (closed) throw failure('CLOSED', `these locks on ${connection.where} were closed; make new ones`)
    if (!safe) await look()
  }
  const run: LockCalls['run'] = async (script, keys, args) => {
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
    throw corruptKey(connection.where, keys[0])
  }
  function named(error: unknown, keys: readonly string[]): unknown {
    return isOncewardError(error, 'STORE_CORRUPT') ? corruptKey(connection.where, keys[0], error) : error
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
        `${acknowledged} of ${wait.replicas} replicas of ${connection.where} acknowledged a lock within ${wait.timeoutMs} ms; bring the replicas back, or ask for fewer`,
      )
    },
    close() {
      closed = true
      connection.close()
    },
  }
}

/** The key holds something else than a lock. */
export function corruptKey(where: string, key = '', cause?: unknown): OncewardError {
  return new OncewardError(
    'STORE_CORRUPT',
    `the key ${key} in ${where} holds something else than a lock; delete it if nothing needs it, and give the locks a prefix of their own`,
    cause === undefined ? {} : { cause },
  )
}
