import type { Clock, Timers } from '../core/clock.ts'
import { isOncewardError } from '../core/errors.ts'
import { assertSafe, failure, type RedisConnection, type ServerUse } from '../drivers/redis/index.ts'
import { type ServerClock, serverClock } from './server-clock.ts'

/** What has to be known of the server before anything is guarded. */
export interface ServerFacts {
  readonly clock: ServerClock
  /** Whether replies come in RESP 3; known once `within` has answered `known`. */
  readonly resp3: boolean
  /** Asks the server once, however many calls come; a failure is tried again by the next. Never rejects. */
  within(ms: number): FactsAnswer | Promise<FactsAnswer>
}

/** Whether the facts are known. */
export type FactsAnswer =
  | { readonly kind: 'known' }
  | { readonly kind: 'failed'; readonly error: Error; readonly retryable: boolean }

const USE: ServerUse = {
  who: 'safeRedis',
  thrown: 'away what was executed already, and a repeated command would be executed again',
  forgotten: 'a repeated command would be executed again',
}

const KNOWN: FactsAnswer = { kind: 'known' }

/**
 * Asks a server for what has to be known of it.
 *
 * @param facts.database - That of the client's options, where it can be another by now.
 */
export function serverFacts(
  connection: RedisConnection,
  { allowEviction, database }: { readonly allowEviction: boolean; readonly database: number | undefined },
  { clock, timers }: { readonly clock: Clock; readonly timers: Timers },
): ServerFacts {
  const serversClock = serverClock(connection, clock)
  let known = false
  let resp3 = false
  let asking: Promise<FactsAnswer> | undefined

  const ask = async (): Promise<FactsAnswer> => {
    try {
      await assertSafe(connection, allowEviction, USE)
      if (database !== undefined) await assertDatabase(connection, database)
      resp3 = await speaksResp3(connection)
      await serversClock.ahead()
      known = true
      return KNOWN
    } catch (thrown) {
      asking = undefined
      const error = thrown instanceof Error ? thrown : new Error(String(thrown))
      return { kind: 'failed', error, retryable: isOncewardError(error) && error.retryable }
    }
  }
  return {
    clock: serversClock,
    get resp3() {
      return resp3
    },
    within(ms) {
      if (known) {
        // What is old is asked again beside.
        serversClock.refresh()
        return KNOWN
      }
      asking ??= ask()
      const asked = asking
      return new Promise((resolve) => {
        const cancel = timers.after(ms, () =>
          resolve({
            kind: 'failed',
            error: failure(
              'STORE_UNAVAILABLE',
              `${connection.where} did not answer within ${Math.ceil(ms)} ms`,
            ),
            retryable: true,
          }),
        )
        void asked.then((answer) => {
          cancel()
          resolve(answer)
        })
      })
    },
  }
}

/**
 * Refuses a client that `SELECT` has moved to another database than that of its options: another connection with the same
 * options would look for markers where they are not.
 */
async function assertDatabase(connection: RedisConnection, database: number): Promise<void> {
  const reply = await connection.command(['CLIENT', 'INFO']).catch((error: unknown) => {
    if (isOncewardError(error, 'STORE_UNAVAILABLE')) throw error
    return ''
  })
  const moved = / db=(\d+)/.exec(String(reply))?.[1]
  if (moved === undefined || Number(moved) === database) return
  throw failure(
    'STORE_MISCONFIGURED',
    `the client of ${connection.where} was moved to database ${moved} by SELECT, and a connection made anew would use ${database}; choose the database when the client is made`,
  )
}

/** Whether the connection speaks RESP 3: `HELLO` without a version changes nothing and tells it. */
async function speaksResp3(connection: RedisConnection): Promise<boolean> {
  const reply = await connection.command(['HELLO']).catch((error: unknown) => {
    if (isOncewardError(error, 'STORE_UNAVAILABLE')) throw error
    return []
  })
  const flat = (Array.isArray(reply) ? reply : Object.entries(reply ?? {})).flat().map(String)
  return flat[flat.indexOf('proto') + 1] === '3'
}
