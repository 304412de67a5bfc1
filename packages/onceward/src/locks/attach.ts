import { isLasting, isOncewardError, OncewardError } from '../core/errors.ts'
import { readClock } from '../core/lease-clock.ts'
import type { HeldLease } from './lease.ts'
import type { LockInstance } from './lock-instance.ts'
import type { AcquireSettings } from './lock-options.ts'
import type { TokenContent } from './lock-token.ts'

/** How often a transfer is tried whose reply may have been lost. */
const TRIES = 3

/**
 * Takes a lease over by its token. The grant gets a new token in the same step, so whoever gave it away has lost it, and a token
 * that was used once is worth nothing.
 *
 * @throws `LOCK_LOST` when the token holds nothing any more.
 */
export async function attachLease(
  { engine, calls, sweeper, watchdog, holdings, assertOpen }: LockInstance,
  from: TokenContent,
  settings: AcquireSettings,
): Promise<HeldLease> {
  const { key } = from
  const { ttlMs, meta } = settings
  const held = { key, token: engine.random.nonce() }
  const to = { token: held.token, ttlMs, owner: engine.owner, ...(meta === undefined ? {} : { meta }) }
  for (let tries = 1; ; tries++) {
    const sentAt = readClock(engine)
    try {
      // Asked again with the same new token, the backend answers as if it had been asked once.
      const moved = await calls.run((backend) => backend.transfer({ key, token: from.token }, to), {
        late: () => void sweeper.sweep(held, ttlMs),
      })
      assertOpen()
      if (!moved || watchdog.isSpent({ ttlMs, sentAt })) break
      const { mode } = moved
      // The lease may not have been the first one of its grant: its fence is the one that it was given away with.
      const fence = moved.fence === undefined ? undefined : Math.max(moved.fence, from.fence ?? moved.fence)
      const terms = { held, mode, fence, mark: undefined, ttlMs, meta, sentAt, handovers: 0 }
      const grant = holdings.take({ ...terms, firstFence: moved.fence })
      engine.emit('attached', key, fence === undefined ? {} : { fence })
      return holdings.lease(grant, settings, sentAt.monotonic)
    } catch (error) {
      if (tries < TRIES && isOncewardError(error) && !isLasting(error)) continue
      await sweeper.briefly(sweeper.sweep(held, ttlMs))
      throw error
    }
  }
  await sweeper.briefly(sweeper.sweep(held, ttlMs))
  const message = `the token of the lock ${JSON.stringify(key)} holds nothing any more: it was released, has lapsed, or was attached before`
  throw new OncewardError('LOCK_LOST', message, { effect: 'none' })
}
