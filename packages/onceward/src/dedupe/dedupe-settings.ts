import type { Random, Timers } from '../core/clock.ts'
import { operationId } from '../core/identity.ts'
import { refuseUnknown, wholeNumber, written } from '../core/known-fields.ts'
import type { Observer } from '../core/observer.ts'
import type { SeenItems } from '../core/seen-items.ts'
import { systemRandom, systemTimers } from '../core/system.ts'
import type { DedupeOptions } from './dedupe-types.ts'

/** The longest window, in ms: ten years. */
const MAX_WINDOW_MS = 10 * 366 * 86_400_000

const FIELDS: Readonly<Record<keyof DedupeOptions, true>> = {
  store: true,
  scope: true,
  windowMs: true,
  sliding: true,
  retries: true,
  observer: true,
  timers: true,
  random: true,
}

/** The options with their defaults. */
export interface DedupeSettings {
  readonly seen: SeenItems
  readonly scope: string
  readonly windowMs: number
  readonly sliding: boolean
  readonly retries: number
  readonly observer: Observer | undefined
  readonly timers: Timers
  readonly random: Random
}

/** Checks the options. @throws `TypeError` naming what is wrong. */
export function dedupeSettings(options: DedupeOptions): DedupeSettings {
  refuseUnknown('createDedupe', options, Object.keys(FIELDS))
  const { scope, sliding = false, observer } = options
  // Refuses a scope that is empty, malformed or too long.
  operationId(scope, 'any')
  if (typeof sliding !== 'boolean')
    throw new TypeError(`sliding must be true or false, not ${written(sliding)}`)
  if (observer !== undefined && typeof observer !== 'function')
    throw new TypeError(`observer must be a function, not ${written(observer)}`)
  return {
    seen: seenOf(options.store),
    scope,
    windowMs: wholeNumber('windowMs', options.windowMs ?? 86_400_000, 1, MAX_WINDOW_MS),
    sliding,
    retries: wholeNumber('retries', options.retries ?? 2, 0, 100),
    observer,
    timers: options.timers ?? systemTimers,
    random: options.random ?? systemRandom,
  }
}

function seenOf(store: DedupeOptions['store'] | undefined): SeenItems {
  const seen = store?.seen
  if (typeof seen?.mark === 'function') return seen
  throw new TypeError(
    'createDedupe needs a store that remembers items: memoryStore, sqliteStore, redisStore, postgresStore, mysqlStore, ' +
      'or a tieredStore, shardedStore or encryptedStore of these',
  )
}
