import { hostname } from 'node:os'
import type { Clock, Random, Timers } from '../core/clock.ts'
import { atLeast, kindOf, refuseUnknown, wholeNumber, written } from '../core/known-fields.ts'
import { systemClock, systemRandom, systemTimers } from '../core/system.ts'
import type { LockBackend } from './lock-backend.ts'
import { createLockEmitter, type EmitLock } from './lock-events.ts'
import type { AcquireOptions, HoldOptions, LocksOptions } from './lock-types.ts'

/** What all parts of one instance share. */
export interface LockEngine {
  readonly backend: LockBackend
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly emit: EmitLock
  readonly owner: string
  readonly localHandovers: number
}

/** How one call holds, with every default filled in. */
export interface HoldSettings {
  readonly ttlMs: number
  readonly renew: boolean
  readonly maxHoldMs: number
  readonly meta: string | undefined
  readonly fair: boolean
  readonly reentrant: boolean
}

/** How one call waits and holds. */
export interface AcquireSettings extends HoldSettings {
  readonly waitMs: number
  readonly signal: AbortSignal | undefined
}

const HOLD_FIELDS = ['ttlMs', 'renew', 'maxHoldMs', 'meta', 'fair', 'reentrant'] as const
const ACQUIRE_FIELDS = [...HOLD_FIELDS, 'waitMs', 'signal'] as const
const OPTION_FIELDS = [
  ...HOLD_FIELDS,
  'waitMs',
  'owner',
  'localHandovers',
  'observer',
  'clock',
  'timers',
  'random',
] as const

/** The longest key, in UTF-8 bytes. */
export const MAX_LOCK_KEY_BYTES = 512

/** The longest text for people, such as `meta` or the reason of a forced release, in UTF-8 bytes. */
const MAX_TEXT_BYTES = 1024

/** The longest lease, in ms: a year. Servers overflow somewhere beyond. */
const MAX_TTL_MS = 31_536_000_000

const DEFAULTS = {
  ttlMs: 30_000,
  renew: true,
  maxHoldMs: 3_600_000,
  meta: undefined,
  fair: true,
  reentrant: false,
  waitMs: 10_000,
  signal: undefined,
}

/** Checks the options of an instance. @throws `TypeError` that names the option and the mend. */
export function lockEngineOf(backend: LockBackend, options: LocksOptions): LockEngine {
  if (typeof backend?.acquire !== 'function' || typeof backend.capabilities !== 'object') {
    throw new TypeError('createLocks needs a backend, for example redisLocks(client) or memoryLocks()')
  }
  refuseUnknown('the options of createLocks', options, OPTION_FIELDS)
  const { observer, owner = `${hostname()}:${process.pid}`, localHandovers = 32 } = options
  if (observer !== undefined && typeof observer !== 'function') {
    throw new TypeError('observer must be a function that is told of events')
  }
  checkText('owner', owner)
  if (owner === '') throw new TypeError('owner must not be empty; leave it out for host name and process id')
  return {
    backend,
    owner,
    clock: options.clock ?? systemClock,
    timers: options.timers ?? systemTimers,
    random: options.random ?? systemRandom,
    emit: createLockEmitter(observer),
    localHandovers: wholeNumber('localHandovers', localHandovers, 0, 1000),
  }
}

/** The settings of an instance's calls. @throws `TypeError` for a value that makes no sense. */
export function baseSettings(backend: LockBackend, options: LocksOptions): AcquireSettings {
  return merged(backend, DEFAULTS, options, [...HOLD_FIELDS, 'waitMs'])
}

/** Narrows the settings for one attempt. @throws `TypeError` for an unknown field or a value that makes no sense. */
export function holdSettings(
  backend: LockBackend,
  base: AcquireSettings,
  options: HoldOptions | undefined,
): AcquireSettings {
  if (options === undefined) return base
  refuseUnknown('the options', options, HOLD_FIELDS)
  return merged(backend, base, options, HOLD_FIELDS)
}

/** Narrows the settings for one wait. @throws `TypeError` for an unknown field or a value that makes no sense. */
export function acquireSettings(
  backend: LockBackend,
  base: AcquireSettings,
  options: AcquireOptions | undefined,
): AcquireSettings {
  if (options === undefined) return base
  refuseUnknown('the options', options, ACQUIRE_FIELDS)
  return merged(backend, base, options, ACQUIRE_FIELDS)
}

function merged(
  backend: LockBackend,
  base: AcquireSettings,
  given: AcquireOptions,
  fields: readonly (keyof AcquireSettings)[],
): AcquireSettings {
  const settings: Record<string, unknown> = { ...base }
  for (const field of fields) if (given[field] !== undefined) settings[field] = given[field]
  return checked(backend, settings as unknown as AcquireSettings)
}

function checked(backend: LockBackend, settings: AcquireSettings): AcquireSettings {
  checkTtl(backend, settings.ttlMs)
  if (settings.maxHoldMs !== Infinity) atLeast('maxHoldMs', settings.maxHoldMs, 1)
  atLeast('waitMs', settings.waitMs, 0)
  for (const name of ['renew', 'fair', 'reentrant'] as const) {
    if (typeof settings[name] !== 'boolean')
      throw new TypeError(`${name} must be true or false, not ${written(settings[name])}`)
  }
  if (settings.meta !== undefined) checkText('meta', settings.meta)
  const { signal } = settings
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw new TypeError(`signal must be an AbortSignal, not ${kindOf(signal)}`)
  }
  return settings
}

/** Checks how long a lease is to hold. @throws `TypeError` that names the least the backend can keep. */
export function checkTtl({ where, minTtlMs }: LockBackend, ttlMs: number): number {
  if (typeof ttlMs === 'number' && ttlMs < minTtlMs) {
    throw new TypeError(
      `ttlMs is ${ttlMs}, and a lease on ${where} cannot be kept below ${minTtlMs} ms; choose a longer one`,
    )
  }
  return wholeNumber('ttlMs', ttlMs, 1, MAX_TTL_MS)
}

/** Checks a text for people. @throws `TypeError` when it is malformed or longer than 1 KiB. */
export function checkText(name: string, text: string): string {
  if (typeof text !== 'string' || !text.isWellFormed()) {
    throw new TypeError(`${name} must be well-formed text, not ${kindOf(text)}`)
  }
  const bytes = Buffer.byteLength(text)
  if (bytes > MAX_TEXT_BYTES) throw new TypeError(`${name} has ${bytes} bytes, the most is ${MAX_TEXT_BYTES}`)
  return text
}

/** Checks a key. @throws `TypeError` for one that is empty, malformed, too long or holds control characters. */
export function checkLockKey(key: string): string {
  if (typeof key !== 'string' || key === '') {
    throw new TypeError(`the key of a lock must be a non-empty text, not ${written(key)}`)
  }
  if (PLAIN.test(key) && key.length <= MAX_LOCK_KEY_BYTES) return key
  if (!key.isWellFormed()) throw new TypeError('the key of a lock holds half of a surrogate pair')
  if (CONTROL.test(key)) throw new TypeError('the key of a lock must not hold control characters')
  const bytes = Buffer.byteLength(key)
  if (bytes > MAX_LOCK_KEY_BYTES) {
    throw new TypeError(
      `the key of a lock has ${bytes} bytes, the most is ${MAX_LOCK_KEY_BYTES}; use a digest of it`,
    )
  }
  return key
}

const PLAIN = /^[ -~]+$/
const CONTROL = /\p{Cc}/u
