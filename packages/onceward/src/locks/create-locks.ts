import { OncewardError } from '../core/errors.ts'
import { readClock } from '../core/lease-clock.ts'
import { pause } from '../core/pause.ts'
import { cronMethods } from './cron.ts'
import { HeldLease } from './lease.ts'
import type { FencingBackend, LockBackend, UnfencedBackend } from './lock-backend.ts'
import type { AcquireSettings } from './lock-options.ts'
import { acquireSettings, baseSettings, checkLockKey, holdSettings, lockEngineOf } from './lock-options.ts'
import type { AcquireOptions, HoldOptions, Lease, Locks, LocksOptions } from './lock-types.ts'

/** Makes locks on a backend. */
export function createLocks(backend: FencingBackend, options?: LocksOptions): Locks<number>
export function createLocks(backend: UnfencedBackend, options?: LocksOptions): Locks<undefined>
export function createLocks(backend: LockBackend, options?: LocksOptions): Locks
export function createLocks(backend: LockBackend, options: LocksOptions = {}): Locks {
  const engine = lockEngineOf(backend, options)
  const base = baseSettings(backend, options)
  const attempt = async (key: string, settings: AcquireSettings): Promise<HeldLease | null> => {
    const held = { key: checkLockKey(key), token: engine.random.nonce() }
    const sentAt = readClock(engine)
    const reply = await backend.acquire({
      ...held,
      mode: 'exclusive',
      permits: 1,
      ttlMs: settings.ttlMs,
      owner: engine.owner,
      ...(settings.meta === undefined ? {} : { meta: settings.meta }),
    })
    if (!reply.granted) return null
    const { fence, mark } = reply
    return new HeldLease(engine, settings, { held, mode: 'exclusive', fence, mark, sentAt })
  }
  const acquire = async (key: string, options?: AcquireOptions): Promise<Lease> => {
    const settings = acquireSettings(backend, base, options)
    const until = engine.clock.monotonic() + settings.waitMs
    for (;;) {
      const lease = await attempt(key, settings)
      if (lease) return lease
      if (settings.signal?.aborted) throw new OncewardError('ABORTED')
      if (engine.clock.monotonic() >= until) throw new OncewardError('LOCK_TIMEOUT', `${key} is held`)
      await pause(engine, 25)
    }
  }
  const using = async <T>(
    key: string,
    given: AcquireOptions | ((lease: Lease) => T | Promise<T>),
    fn?: (lease: Lease) => T | Promise<T>,
  ): Promise<T> => {
    const work = typeof given === 'function' ? given : fn
    if (typeof work !== 'function') throw new TypeError('using needs a function that does the work')
    const lease = await acquire(key, typeof given === 'function' ? undefined : given)
    try {
      return await work(lease)
    } finally {
      await lease[Symbol.asyncDispose]()
    }
  }
  const later = () => {
    throw new TypeError('this is not there yet')
  }
  const tryAcquire = async (key: string, given?: HoldOptions) => attempt(key, holdSettings(backend, base, given))
  const crons = cronMethods({ ...engine, tryAcquire, acquire })
  const locks: Partial<Locks> = {
    ...crons.methods,
    tryAcquire,
    acquire,
    using,
    inspect: (key: string) => backend.inspect(checkLockKey(key)),
    write: (key: string) => ({
      tryAcquire: async (given?: HoldOptions) => attempt(key, holdSettings(backend, base, given)),
      acquire: (given?: AcquireOptions) => acquire(key, given),
      using: <T>(
        given: AcquireOptions | ((lease: Lease) => T | Promise<T>),
        fn?: (lease: Lease) => T | Promise<T>,
      ) => using(key, given, fn),
    }),
    acquireAll: later,
    read: later,
    semaphore: later,
    segmented: later,
    attach: later,
    forceRelease: async (key, { by = engine.owner, reason, ...rest }) =>
      (await backend.forceRelease({ key, by, reason, ...rest })) > 0 ? 'released' : 'not-held',
    async close() {
      await crons.stop()
      await backend.close()
    },
  }
  return locks as Locks
}
