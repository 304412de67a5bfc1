import { type ErrorCode, isOncewardError, type OncewardError } from '../../core/errors.ts'
import { failure } from '../../core/failure.ts'
import type { RedisTopology } from './redis-link.ts'

export { failure }

/** What an error is about. */
export interface RedisWhere {
  readonly where: string
  readonly topology: RedisTopology
}

/** What an error reply means: the code, and the mend. */
type Meaning = readonly [code: ErrorCode, mend: string]

const WAIT_FOR_IT = 'it will accept calls again by itself'

/** The first word of an error reply, and what it means. Redis words them so since 2.8 and Valkey keeps to it. */
const REPLIES: Readonly<Record<string, Meaning>> = {
  OOM: ['STORE_FULL', 'it has reached maxmemory; raise maxmemory, purge, or shorten the retention'],
  MISCONF: [
    'STORE_READ_ONLY',
    'it cannot save to its disk and refuses writes; free disk space and look at its log',
  ],
  NOREPLICAS: [
    'STORE_UNAVAILABLE',
    'fewer replicas are in touch than min-replicas-to-write asks for; bring them back',
  ],
  LOADING: ['STORE_UNAVAILABLE', `it is loading its data; ${WAIT_FOR_IT}`],
  BUSY: ['STORE_UNAVAILABLE', 'a script of somebody holds it up; end that with SCRIPT KILL'],
  MASTERDOWN: ['STORE_UNAVAILABLE', 'it is a replica without a primary; connect to the primary'],
  CLUSTERDOWN: ['STORE_UNAVAILABLE', 'a part of the hash slots is not served; look at CLUSTER INFO'],
  TRYAGAIN: ['STORE_UNAVAILABLE', `a hash slot is being moved; ${WAIT_FOR_IT}`],
  MOVED: ['STORE_MISCONFIGURED', 'it is a node of a cluster; use a cluster client'],
  ASK: ['STORE_UNAVAILABLE', `a hash slot is being moved; ${WAIT_FOR_IT}`],
  NOPERM: [
    'STORE_MISCONFIGURED',
    'give this user the permission; docs/redis.md and docs/redis-retry.md list all that are needed',
  ],
  NOAUTH: ['STORE_MISCONFIGURED', 'it asks for a password; give the client one'],
  WRONGPASS: [
    'STORE_MISCONFIGURED',
    'the user name or the password is wrong, or the user is off; correct it',
  ],
  DENIED: [
    'STORE_MISCONFIGURED',
    'it refuses connections from here (protected mode); set a password or bind',
  ],
  CROSSSLOT: ['STORE_MISCONFIGURED', 'keys of one call lie in two hash slots; use a cluster client'],
  WRONGTYPE: [
    'STORE_CORRUPT',
    'something else has written under our prefix; give the store a prefix of its own',
  ],
}

/** In scripts Redis 6 and 7 word a missing permission in three ways. */
const DENIED_IN_SCRIPT =
  /ACL failure in script|user executing the script can't|no permissions? to (?:run|access)/i
const SUBSCRIBER_MODE = /only \(P\|S\)SUBSCRIBE|subscriber mode/i
const UNKNOWN_COMMAND = /^ERR unknown (?:sub)?command|^ERR syntax error/i

/** What a failed call of Redis means, with the mend. Errors of ours and misuse are answered as they are. */
export function redisFailure(error: unknown, about: RedisWhere): unknown {
  if (isOncewardError(error) || error instanceof TypeError) return error
  const text = error instanceof Error ? error.message : String(error)
  return (
    replyFailure(text, about, error) ??
    failure('STORE_UNAVAILABLE', `${about.where} cannot be reached: ${text}`, error)
  )
}

/** What an error reply means; nothing for a text that is none. */
export function replyFailure(text: string, about: RedisWhere, cause?: unknown): OncewardError | undefined {
  const { where } = about
  if (DENIED_IN_SCRIPT.test(text)) return meant(REPLIES['NOPERM'], where, text, cause)
  if (SUBSCRIBER_MODE.test(text)) {
    return failure(
      'STORE_MISCONFIGURED',
      `the client of ${where} only listens; give the store client.duplicate()`,
      cause,
    )
  }
  const word = /^([A-Z]{2,})(?: |$)/.exec(text)?.[1]
  if (word === undefined) return undefined
  if (word === 'READONLY') return readOnly(about, text, cause)
  const known = REPLIES[word]
  if (known) return meant(known, where, text, cause)
  if (UNKNOWN_COMMAND.test(text)) {
    return failure(
      'STORE_MISCONFIGURED',
      `${where} is too old or has commands renamed (${text}); use Redis 6.2 or later`,
      cause,
    )
  }
  return failure('STORE_UNAVAILABLE', `${where} failed: ${text}`, cause)
}

/** The first word of an error reply, such as `NOSCRIPT`. */
export function replyWord(error: unknown): string | undefined {
  return error instanceof Error ? /^([A-Z]{2,})(?: |$)/.exec(error.message)?.[1] : undefined
}

function meant(meaning: Meaning | undefined, where: string, text: string, cause: unknown): OncewardError {
  const [code, mend] = meaning ?? (['STORE_UNAVAILABLE', 'look at its log'] as const)
  return failure(code, `${where} answered "${text}": ${mend}`, cause)
}

/** Behind Sentinel or in a cluster a replica is asked only while a failover goes on. */
function readOnly({ where, topology }: RedisWhere, text: string, cause: unknown): OncewardError {
  return topology === 'standalone'
    ? failure('STORE_READ_ONLY', `${where} is a read-only replica; connect to its primary`, cause)
    : failure(
        'STORE_UNAVAILABLE',
        `${where} answered "${text}": a failover is going on; ${WAIT_FOR_IT}`,
        cause,
      )
}
