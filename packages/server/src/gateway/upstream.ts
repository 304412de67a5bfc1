import { buildConnector, Pool } from 'undici'

/** The connections to the upstream. */
export interface Upstream {
  readonly origin: URL
  /** For requests without a key. */
  readonly streaming: Pool
  /** For requests with a key. */
  readonly keyed: Pool
  /** Ends all connections; what runs is cut. */
  destroy(): Promise<void>
}

/** How long a connection may idle before a keyed request is not entrusted to it, in ms. */
const KEYED_IDLE_MS = 1000

/**
 * Opens the connection pools. Nothing is connected before the first request, so an upstream that is down does not
 * keep the gateway from starting.
 *
 * Keyed requests have a pool of their own. A service may close an idle connection in the moment a request is written
 * to it, and whether it read that request cannot be told: the operation would be held for nothing. So keyed requests
 * use only connections that were busy within the last second, far below the idle limits services have (2 to 75 s).
 * A new connection for each would be safer by a hair and run out of ports at some 500 requests a second.
 *
 * Neither pool pipelines. The client never sends a request again by itself: with one request per connection at a time,
 * an error belongs to that request and is reported.
 */
export function openUpstream(origin: URL, timeoutMs: number): Upstream {
  const shared = {
    pipelining: 1,
    headersTimeout: timeoutMs,
    connect: candidConnector(Math.min(timeoutMs, 10_000)),
  }
  const streaming = new Pool(origin.origin, { ...shared, bodyTimeout: 0, keepAliveTimeout: 4000 })
  const keyed = new Pool(origin.origin, {
    ...shared,
    bodyTimeout: timeoutMs,
    keepAliveTimeout: KEYED_IDLE_MS,
    keepAliveMaxTimeout: KEYED_IDLE_MS,
  })
  return {
    origin,
    streaming,
    keyed,
    destroy: async () => {
      await Promise.all([streaming.destroy(), keyed.destroy()])
    },
  }
}

/**
 * Connects, and reports a reset as what it is. The client takes `ECONNRESET` for the end of a response that only the
 * close of its connection ends; the truncated body of a service that died would be stored and replayed as whole.
 */
function candidConnector(timeout: number): buildConnector.connector {
  const connect = buildConnector({ timeout })
  return (options, callback) =>
    connect(options, (...result) => {
      // Heard before the client adds its own listener.
      result[1]?.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNRESET') error.code = 'ECONNABORTED'
      })
      callback(...result)
    })
}

/**
 * Whether an "error" of the client is a whole response: 204 and 304 have no body, and their `Content-Length`, if any,
 * is that of a body they do not have (RFC 9110 section 8.6). The client misses those bytes.
 */
export function isWholeWithoutBody(status: number, error: unknown): boolean {
  return (status === 204 || status === 304) && codeOf(error) === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'
}

/** What a failure to get an answer means. */
export interface UpstreamFailure {
  readonly status: 502 | 504
  readonly code: 'upstream-unreachable' | 'upstream-timeout' | 'upstream-broken'
  readonly detail: string
  /** Whether the upstream cannot have seen the request. */
  readonly neverSent: boolean
}

/** Reads an error of the client. `sent` tells whether the request was handed to a connection. */
export function upstreamFailure(error: unknown, sent: boolean): UpstreamFailure {
  const code = codeOf(error)
  const timedOut = code.includes('TIMEOUT') || code === 'ETIMEDOUT'
  if (sent && code === DESTROYED) {
    return {
      status: 502,
      code: 'upstream-broken',
      detail: 'The gateway was stopped before the service had answered; whether it did the work is unknown.',
      neverSent: false,
    }
  }
  if (!sent) {
    return {
      status: timedOut ? 504 : 502,
      code: timedOut ? 'upstream-timeout' : 'upstream-unreachable',
      detail: 'The service could not be reached; it has not seen the request.',
      neverSent: true,
    }
  }
  return timedOut
    ? {
        status: 504,
        code: 'upstream-timeout',
        detail: 'The service did not answer in time; whether it did the work is unknown.',
        neverSent: false,
      }
    : {
        status: 502,
        code: 'upstream-broken',
        detail:
          'The connection to the service broke before its answer was complete; whether it did the work is unknown.',
        neverSent: false,
      }
}

/** Whether it was this gateway that ended the connection, at its shutdown. */
export function isOwnDoing(error: unknown): boolean {
  return codeOf(error) === DESTROYED
}

/** What the client says of requests that run when it is destroyed. */
const DESTROYED = 'UND_ERR_DESTROYED'

/** The code of an error or of the first of several, for logs. */
export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return ''
  if ('code' in error && typeof error.code === 'string') return error.code
  if ('errors' in error && Array.isArray(error.errors)) return codeOf(error.errors[0])
  return ''
}
