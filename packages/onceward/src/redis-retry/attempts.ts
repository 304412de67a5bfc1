import type { Timers } from '../core/clock.ts'
import { failure } from '../drivers/redis/index.ts'
import type { RedisLink } from '../drivers/redis/redis-link.ts'
import type { Lines } from './lines.ts'
import { timeLimits } from './time-limits.ts'

/** How one attempt ended. */
export type Attempt<T> =
  | { readonly kind: 'replied'; readonly reply: T }
  /** The server answered an error. */
  | { readonly kind: 'refused'; readonly text: string; readonly error: unknown }
  /** Nothing came back. `sent`: the command may have been executed, or may still be. */
  | { readonly kind: 'failed'; readonly error: Error; readonly sent: boolean; readonly closed?: boolean }

/** Makes single attempts: a command is given to a client at most once for each. */
export interface Attempts {
  /**
   * Waits for the connection and hands the command over, for at most `ms` altogether. Never rejects. What may be sent
   * late needs no `signal`, and is cheaper without. With `connectMs` the connection is waited for so long at most, and
   * `ms` begins when the command is handed over. `sentAt` is when that is, on our monotonic clock in ms.
   */
  make<T>(
    ms: number,
    run: (link: RedisLink, signal: AbortSignal | undefined, sentAt: number) => Promise<T>,
    options?: { readonly takesBack?: boolean; readonly connectMs?: number | undefined },
  ): Promise<Attempt<T>>
}

/** Words of the clients for a command that they have not sent. */
const NEVER_SENT =
  /^The client is (?:offline|closed)|enableOfflineQueue options is false|^The command was aborted|^The queue is full/

/** Words of ioredis for a lost connection; they advise what would have it send again. */
const LOST = /^Reached the max retries per request limit/

/** Makes attempts over the line of the moment. */
export function attempts(lines: Lines, timers: Timers, monotonic: () => number): Attempts {
  const limits = timeLimits(timers, monotonic)
  return {
    make: (ms, run, { takesBack = false, connectMs } = {}) =>
      new Promise((settle) => {
        const line = lines.enter()
        const { link, whenReady } = line.open
        const stop = takesBack ? new AbortController() : undefined
        let sentAt: number | undefined
        let over = false
        const resolve = (how: Parameters<typeof settle>[0]) => {
          if (over) return
          over = true
          lines.leave(line)
          settle(how)
        }
        let forget = () => {}
        const within = (limitMs: number) =>
          limits.after(limitMs, () => {
            forget()
            stop?.abort()
            if (sentAt !== undefined) lines.silent(line, sentAt)
            const missed = sentAt === undefined ? 'was not connected' : 'did not answer'
            const error = failure(
              'STORE_UNAVAILABLE',
              `${link.where} ${missed} within ${Math.ceil(limitMs)} ms`,
            )
            resolve({ kind: 'failed', error, sent: sentAt !== undefined })
          })
        let cancel = within(connectMs ?? ms)
        const end = (thrown: unknown) => {
          cancel()
          const how = ended(thrown, link.where)
          if (how.kind === 'refused') line.heardAt = monotonic()
          resolve(how)
        }
        const start = () => {
          const reason = link.closedReason()
          if (reason !== undefined) {
            cancel()
            const error = failure('STORE_UNAVAILABLE', reason)
            return resolve({ kind: 'failed', error, sent: false, closed: true })
          }
          if (connectMs !== undefined) {
            cancel()
            cancel = within(ms)
          }
          sentAt = monotonic()
          try {
            run(link, stop?.signal, sentAt).then((reply) => {
              cancel()
              line.heardAt = monotonic()
              resolve({ kind: 'replied', reply })
            }, end)
          } catch (thrown) {
            end(thrown)
          }
        }
        if (link.isReady() || link.closedReason() !== undefined) start()
        else forget = whenReady(start)
      }),
  }
}

function ended(thrown: unknown, where: string): Attempt<never> {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  if (isErrorReply(error)) return { kind: 'refused', text: error.message, error }
  const why = LOST.test(error.message) ? 'the connection was lost' : error.message
  return {
    kind: 'failed',
    error: failure('STORE_UNAVAILABLE', `${where} cannot be reached: ${why}`, error),
    sent: !NEVER_SENT.test(error.message),
  }
}

/** Whether an error is a reply of the server: by its class, and for clients of other makes by how servers word them. */
function isErrorReply(error: Error): boolean {
  if (error.name === 'ReplyError') return true
  // By the rules of RESP 2 ioredis refuses itself what the server would.
  if (error.message.startsWith('Connection in subscriber mode')) return true
  for (let at: object | null = error; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    if (/^(?:ErrorReply|ReplyError)$/.test(at.constructor.name)) return true
  }
  return /^[A-Z]{2,}(?: |$)/.test(error.message)
}
