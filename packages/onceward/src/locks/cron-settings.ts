import { atLeast, refuseUnknown, wholeNumber, written } from '../core/known-fields.ts'
import { tickKey } from './cron-mark.ts'
import type { TickPolicy } from './cron-run.ts'
import type { CronOptions, OnCrash, SingleTick, TickDecision, TickOptions } from './cron-types.ts'
import type { LockBackend } from './lock-backend.ts'
import { checkLockKey } from './lock-options.ts'
import type { MissedPolicy } from './missed-ticks.ts'

const TICK_FIELDS = ['atMostMs', 'atLeastMs', 'ttlMs', 'onCrash', 'maxAttempts']

const CRON_FIELDS = [
  ...TICK_FIELDS,
  ...['schedule', 'timezone', 'parser', 'missed', 'maxMissed', 'graceMs', 'onError', 'signal'],
]

/** A scheduled tick that is so far ahead of the backend's clock, in ms, comes of a clock that is wrong. */
const MAX_AHEAD_MS = 3_600_000

/** The latest time that a `Date` can tell. */
const MAX_DATE_MS = 8.64e15

/** Checks the options of a job. @throws `TypeError` that names the option and the mend. */
export function cronPolicy(backend: LockBackend, options: CronOptions): TickPolicy & MissedPolicy {
  refuseUnknown('cron', options, CRON_FIELDS)
  const { missed = 'skip', maxMissed = 100, graceMs = 60_000 } = options
  oneOf('missed', missed, ['skip', 'latest', 'all'])
  return {
    ...tickPolicy(backend, options),
    missed,
    maxMissed: wholeNumber('maxMissed', maxMissed, 1, 10_000),
    graceMs: atLeast('graceMs', graceMs, 1),
    maxAheadMs: MAX_AHEAD_MS,
  }
}

/** Checks the options of one tick. @throws `TypeError` that names the option and the mend. */
export function singleTick(
  backend: LockBackend,
  options: SingleTick,
): TickPolicy & { readonly tick: number } {
  refuseUnknown('cron', options, [...TICK_FIELDS, 'tick'])
  return { ...tickPolicy(backend, options), tick: tickOf(options.tick) }
}

/** Reads the time of a tick. @throws `TypeError` for what is none. */
export function tickOf(given: number | Date): number {
  const tick = given instanceof Date ? given.getTime() : given
  if (Number.isSafeInteger(tick) && Math.abs(tick) <= MAX_DATE_MS) return tick
  throw new TypeError(
    `tick must be the scheduled time, as a Date or in whole ms since the epoch, not ${written(given)}`,
  )
}

/** Checks a name. @throws `TypeError` for what cannot be part of a key. */
export function checkName(name: string): void {
  if (typeof name !== 'string' || name === '') {
    throw new TypeError(`a job needs a name that is the same on every instance, not ${written(name)}`)
  }
  checkLockKey(tickKey(name))
}

/** Checks a decision. @throws `TypeError` that names the field. */
export function checkDecision(decision: TickDecision): void {
  refuseUnknown('resolveTick', decision, ['as', 'reason', 'by'])
  oneOf('as', decision.as, ['done', 'retry'])
  const { reason } = decision
  if (typeof reason !== 'string' || reason.trim() === '' || Buffer.byteLength(reason) > 1024) {
    throw new TypeError(
      'resolveTick needs a reason, at most 1 KiB of text: whoever looks later wants to know',
    )
  }
}

function tickPolicy(backend: LockBackend, options: TickOptions): TickPolicy {
  if (!backend.capabilities.marks || !backend.mark) {
    throw new TypeError(
      `cron needs a backend that remembers the last tick, and ${backend.where} does not; use Redis, PostgreSQL, MySQL, SQLite, etcd or ZooKeeper`,
    )
  }
  const { atMostMs, atLeastMs = 0, onCrash = 'skip', maxAttempts = 3 } = options
  wholeNumber('atMostMs', atMostMs, backend.minTtlMs)
  wholeNumber('atLeastMs', atLeastMs, 0)
  if (atLeastMs > atMostMs) throw new TypeError('atLeastMs must not be longer than atMostMs')
  oneOf('onCrash', onCrash, ['skip', 'retry', 'hold'] satisfies OnCrash[])
  const ttlMs = options.ttlMs ?? Math.max(backend.minTtlMs, Math.min(30_000, Math.ceil(atMostMs / 2)))
  return {
    atMostMs,
    atLeastMs,
    onCrash,
    maxAttempts: wholeNumber('maxAttempts', maxAttempts, 1, 1000),
    ttlMs: wholeNumber('ttlMs', ttlMs, backend.minTtlMs),
  }
}

function oneOf(name: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value))
    throw new TypeError(`${name} must be one of ${allowed.join(', ')}, not ${written(value)}`)
}
