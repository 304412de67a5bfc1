import { checkWork, refuseUnknown, wholeNumber } from '../core/known-fields.ts'
import { attachLease } from './attach.ts'
import { cronMethods } from './cron.ts'
import type { LockTarget } from './local-queue.ts'
import type { FencingBackend, LockBackend, UnfencedBackend } from './lock-backend.ts'
import { acquireGroup, groupKeys } from './lock-group.ts'
import { lockInstance } from './lock-instance.ts'
import {
  type AcquireSettings,
  acquireSettings,
  baseSettings,
  checkLockKey,
  checkText,
  holdSettings,
  lockEngineOf,
} from './lock-options.ts'
import { readToken } from './lock-token.ts'
import type { AcquireOptions, HoldOptions, Lease, LockMethods, Locks, LocksOptions } from './lock-types.ts'
import { Reentrancy } from './reentrancy.ts'
import { segmentedKeys } from './segmented.ts'

/** The greatest number of permits of a semaphore. */
const MAX_PERMITS = 1_000_000

/** Work under a lock. */
type Work<T> = (lease: Lease) => T | Promise<T>

/**
 * Makes locks on a backend: leases that end by themselves, with a fence and a signal.
 *
 * Guarantee: of all who share the backend's data, at most one holds a key alone at any time on the backend's clock, and each
 * counts its own lease shorter than the backend does. Limit: a process can be paused between its last look at the clock and
 * the write that follows; only the resource can refuse such a write, by the fence. Locks on a backend without fences
 * (`Locks<undefined>`) save work, and must not be what correctness rests on.
 *
 * Events hold the keys of locks: see {@link LocksOptions.observer}.
 *
 * @throws `TypeError` for options that make no sense, at once.
 * @example
 * const locks = createLocks(memoryLocks())
 * await locks.using('report:2026', async (lease) => {
 *   lease.assertHeld()
 * })
 */
export function createLocks(backend: FencingBackend, options?: LocksOptions): Locks<number>
export function createLocks(backend: UnfencedBackend, options?: LocksOptions): Locks<undefined>
export function createLocks(backend: LockBackend, options?: LocksOptions): Locks
export function createLocks(backend: LockBackend, options: LocksOptions = {}): Locks {
  const engine = lockEngineOf(backend, options)
  const base = baseSettings(backend, options)
  const instance = lockInstance(engine)
  const { holdings, calls } = instance
  const reentrancy = new Reentrancy()
  if (base.reentrant) reentrancy.follow()

  const ask = async <L extends Lease | null>(
    target: LockTarget,
    settings: AcquireSettings,
    question: (target: LockTarget, settings: AcquireSettings) => Promise<L>,
    goesOn = true,
  ): Promise<L | Lease> => {
    instance.assertOpen()
    if (!settings.reentrant) return question(target, settings)
    const inner = reentrancy.inner(target)
    if (inner) return inner
    if (!goesOn) return question(target, settings)
    const entered = reentrancy.enter(target)
    try {
      const lease = await question(target, settings)
      entered(lease)
      return lease
    } catch (error) {
      entered(null)
      throw error
    }
  }
  const tryAcquire = async (target: LockTarget, given?: HoldOptions): Promise<Lease | null> =>
    ask(target, holdSettings(backend, base, given), (...asked) => holdings.tryAcquire(...asked))
  /** @param goesOn - Whether the caller's code is inside of the lease from then on. */
  const acquireWith = (target: LockTarget, settings: AcquireSettings, goesOn: boolean): Promise<Lease> =>
    ask(target, settings, (...asked) => holdings.acquire(...asked), goesOn)
  const acquire = async (target: LockTarget, given?: AcquireOptions): Promise<Lease> =>
    acquireWith(target, acquireSettings(backend, base, given), true)
  const acquireAll: Locks['acquireAll'] = async (given, options) => {
    const settings = acquireSettings(backend, base, options)
    const keys = groupKeys(given, checkLockKey)
    // Before the first `await`: later the caller's code cannot be taken inside any more.
    const entered = keys.map((key) =>
      settings.reentrant && !reentrancy.inner(alone(key)) ? reentrancy.enter(alone(key)) : undefined,
    )
    try {
      const group = await acquireGroup(engine, keys, settings, (key, own) =>
        acquireWith(alone(key), own, false),
      )
      for (const [i, tell] of entered.entries()) tell?.(group.leases[i] ?? null)
      return group
    } catch (error) {
      for (const tell of entered) tell?.(null)
      throw error
    }
  }

  async function using<T>(
    target: LockTarget,
    given: AcquireOptions | Work<T>,
    fn: Work<T> | undefined,
  ): Promise<T> {
    const [wanted, work] = typeof given === 'function' ? [undefined, given] : [given, fn]
    checkWork('using', work)
    // Only the work is inside of the lease, not what its caller does meanwhile.
    const lease = await acquireWith(target, acquireSettings(backend, base, wanted), false)
    try {
      return await reentrancy.run(target, lease, () => (work as Work<T>)(lease))
    } finally {
      await lease[Symbol.asyncDispose]()
    }
  }

  const methodsOf = (target: LockTarget): LockMethods => ({
    tryAcquire: (given?: HoldOptions) => tryAcquire(target, given),
    acquire: (given?: AcquireOptions) => acquire(target, given),
    using: <T>(given: AcquireOptions | Work<T>, fn?: Work<T>) => using(target, given, fn),
  })
  const sharing = (key: string, permits: number): LockTarget => {
    if (!backend.capabilities.shared) {
      throw new TypeError(
        `${backend.where} grants a lock to one holder only; read locks and semaphores need another backend`,
      )
    }
    return { key: checkLockKey(key), mode: 'shared', permits }
  }
  const crons = cronMethods({
    ...engine,
    tryAcquire: async (key: string, given: HoldOptions) => tryAcquire(alone(key), given),
    acquire: async (key: string, given: AcquireOptions) => acquire(alone(key), given),
  })

  return {
    ...crons.methods,
    tryAcquire: async (key, given) => tryAcquire(alone(key), given),
    acquire: async (key, given) => acquire(alone(key), given),
    using: async <T>(key: string, given: AcquireOptions | Work<T>, fn?: Work<T>) =>
      using(alone(key), given, fn),
    acquireAll,
    read: (key) => methodsOf(sharing(key, Infinity)),
    write: (key) => methodsOf(alone(key)),
    semaphore(key, permits) {
      const target = sharing(key, wholeNumber('permits', permits, 1, MAX_PERMITS))
      return { key, permits, ...methodsOf(target) }
    },
    segmented(name, given) {
      refuseUnknown('the options of segmented', given, ['segments'])
      return segmentedKeys(name, given.segments)
    },
    async inspect(key) {
      checkLockKey(key)
      instance.assertOpen()
      return calls.run(() => backend.inspect(key))
    },
    async forceRelease(key, given) {
      checkLockKey(key)
      refuseUnknown('the request of forceRelease', given, ['ifFence', 'by', 'reason'])
      const { ifFence, by = engine.owner, reason } = given
      if (checkText('reason', reason).trim() === '') {
        throw new TypeError('forceRelease needs a reason: whoever loses the lock will want to know')
      }
      checkText('by', by)
      if (ifFence !== undefined) wholeNumber('ifFence', ifFence, 0)
      instance.assertOpen()
      const request = { key, by, reason, ...(ifFence === undefined ? {} : { ifFence }) }
      const losers = await calls.run(() => backend.forceRelease(request))
      if (losers === 0) return 'not-held'
      holdings.forced(key, ifFence)
      engine.emit('forced', key, { message: `by ${by}: ${reason}` })
      return 'released'
    },
    async attach(text, given) {
      const token = readToken(text)
      const settings = holdSettings(backend, base, { ttlMs: token.ttlMs, ...given })
      instance.assertOpen()
      return attachLease(instance, token, settings)
    },
    async close() {
      await crons.stop()
      await instance.close()
    },
  }
}

function alone(key: string): LockTarget {
  return { key: checkLockKey(key), mode: 'exclusive', permits: 1 }
}
