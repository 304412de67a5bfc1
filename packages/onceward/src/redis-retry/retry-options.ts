import { atLeast, refuseUnknown, wholeNumber, written } from '../core/known-fields.ts'
import { checkedPrefix, checkedWait, type ReplicaWait } from '../drivers/redis/index.ts'
import type { SafeRedisOptions } from './retry-types.ts'

/** The options that are checked, with their defaults. */
export interface CheckedRetryOptions {
  readonly mode: 'strict' | 'fast'
  readonly deadlineMs: number
  readonly retentionMs: number
  /** How long operations are remembered that nobody else can repeat, in ms. */
  readonly unnamedRetentionMs: number
  readonly prefix: string
  readonly attemptTimeoutMs: number
  readonly maxInFlight: number
  readonly maxWaiting: number
  readonly maxReplyBytes: number
  readonly replies: 'text' | 'bytes'
  readonly wait: ReplicaWait | undefined
  readonly allowEviction: boolean
}

/** By so much the retention has to exceed the deadline, in ms: what clocks and readings of them may differ by. */
export const SKEW_MS = 5000

/** The server keeps no larger value (`proto-max-bulk-len`), in bytes. */
const LARGEST_VALUE = 536_870_912

const FIELDS: Readonly<Record<keyof SafeRedisOptions, true>> = {
  mode: true,
  deadlineMs: true,
  retentionMs: true,
  prefix: true,
  attemptTimeoutMs: true,
  maxInFlight: true,
  maxWaiting: true,
  maxReplyBytes: true,
  replies: true,
  wait: true,
  allowEviction: true,
  observer: true,
  clock: true,
  timers: true,
  random: true,
}

/** Checks the options. @throws `TypeError` naming what is wrong. */
export function checkedRetryOptions(options: SafeRedisOptions): CheckedRetryOptions {
  refuseUnknown('safeRedis', options, Object.keys(FIELDS))
  const deadlineMs = wholeNumber('deadlineMs', options.deadlineMs ?? 10_000, 10, 86_400_000)
  const attemptTimeoutMs = atLeast(
    'attemptTimeoutMs',
    options.attemptTimeoutMs ?? Math.min(1000, deadlineMs),
    1,
  )
  if (attemptTimeoutMs > deadlineMs) {
    throw new TypeError(
      `attemptTimeoutMs must not exceed deadlineMs (${deadlineMs}), not ${written(attemptTimeoutMs)}`,
    )
  }
  const retentionMs = wholeNumber('retentionMs', options.retentionMs ?? 600_000, 1)
  if (retentionMs <= deadlineMs + SKEW_MS) {
    throw new TypeError(
      `retentionMs must exceed deadlineMs (${deadlineMs}) by more than ${SKEW_MS}, not ${written(retentionMs)}: what is forgotten ` +
        'before its deadline would be executed again',
    )
  }
  if (options.observer !== undefined && typeof options.observer !== 'function') {
    throw new TypeError(`observer must be a function, not ${written(options.observer)}`)
  }
  const allowEviction = options.allowEviction ?? false
  if (typeof allowEviction !== 'boolean') {
    throw new TypeError(`allowEviction must be true or false, not ${written(allowEviction)}`)
  }
  return {
    mode: oneOf('mode', options.mode ?? 'strict', ['strict', 'fast']),
    deadlineMs,
    retentionMs,
    unnamedRetentionMs: Math.min(retentionMs, 2 * deadlineMs + SKEW_MS),
    prefix: checkedPrefix(options.prefix ?? 'onceward:retry'),
    attemptTimeoutMs,
    maxInFlight: wholeNumber('maxInFlight', options.maxInFlight ?? 1000, 1),
    maxWaiting: wholeNumber('maxWaiting', options.maxWaiting ?? 10_000, 0),
    maxReplyBytes: wholeNumber('maxReplyBytes', options.maxReplyBytes ?? 1_048_576, 0, LARGEST_VALUE),
    replies: checkedReplies(options.replies ?? 'text'),
    wait: options.wait && checkedWait(options.wait),
    allowEviction,
  }
}

/** Checks in which form bulk replies are wanted. @throws `TypeError` naming those there are. */
export function checkedReplies(replies: 'text' | 'bytes'): 'text' | 'bytes' {
  return oneOf('replies', replies, ['text', 'bytes'])
}

function oneOf<T extends string>(name: string, value: T, allowed: readonly T[]): T {
  if (allowed.includes(value)) return value
  throw new TypeError(`${name} must be one of ${allowed.join(', ')}, not ${written(value)}`)
}
