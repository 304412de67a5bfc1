import { refuseUnknown } from '../core/known-fields.ts'
import type { HoldOptions, Lease, LockMethods } from './lock-types.ts'

/** What `safeDelete` did. */
export type SafeDeleted =
  /** It was there, and was removed while the lock was held. */
  | 'deleted'
  /** It was not there, or not to be deleted any more. Nothing was done. */
  | 'gone'
  /** Somebody else holds the lock. Nothing was done. */
  | 'busy'
  /** The lock was lost before `remove` had ended, or the resource refused the fence: look before you count on anything. */
  | 'lost'

/** How something is deleted. */
export interface SafeDeletion<Fence extends number | undefined = number | undefined> extends HoldOptions {
  /** Whether it is there and still to be deleted. Asked under the lock. */
  exists(lease: Lease<Fence>): boolean | Promise<boolean>
  /**
   * Deletes it. Give `lease.fence` to the resource and `lease.signal` to what can be aborted. Answers `false` or 0 when
   * nothing was there after all, `'stale'` when the resource has refused the fence; anything else means deleted.
   */
  remove(lease: Lease<Fence>): unknown
}

/**
 * Deletes something once, if nobody else is at it: takes the lock without waiting, looks whether it is still to be deleted,
 * deletes it, and gives the lock back.
 *
 * What `exists` and `remove` throw is passed on as it is, with the lock given back.
 *
 * Limit: a lock alone cannot stop a delete that was sent before a pause and arrives after it. With the fence in the
 * condition of the delete, the resource does.
 *
 * @throws `STORE_UNAVAILABLE` (effect `none`) when the lock could not be asked for.
 * @example
 * const done = await safeDelete(locks.write(`order:${order.id}`), {
 *   exists: async () => (await pool.query('SELECT 1 FROM orders WHERE id = $1 AND unpaid', [order.id])).rowCount === 1,
 *   remove: async ({ fence }) => {
 *     const deleted = await pool.query('DELETE FROM orders WHERE id = $1 AND last_fence <= $2', [order.id, fence])
 *     return deleted.rowCount === 1 || 'stale'
 *   },
 * })
 */
export async function safeDelete<Fence extends number | undefined>(
  lock: Pick<LockMethods<Fence>, 'tryAcquire'>,
  deletion: SafeDeletion<Fence>,
): Promise<SafeDeleted> {
  refuseUnknown('safeDelete', deletion, FIELDS)
  const { exists, remove, ...hold } = deletion
  if (typeof exists !== 'function' || typeof remove !== 'function') {
    throw new TypeError('safeDelete needs the functions exists and remove')
  }
  const lease = await lock.tryAcquire(hold)
  if (!lease) return 'busy'
  try {
    if (!(await deletion.exists(lease))) return 'gone'
    // Whether it was there is no news any more once the lock may be another's.
    if (lease.remainingMs() === 0) return 'lost'
    const answer = await deletion.remove(lease)
    if (answer === 'stale' || lease.remainingMs() === 0) return 'lost'
    return answer === false || answer === 0 || answer === 0n ? 'gone' : 'deleted'
  } finally {
    await lease[Symbol.asyncDispose]()
  }
}

const FIELDS = [...['exists', 'remove'], ...['ttlMs', 'renew', 'maxHoldMs', 'meta', 'fair', 'reentrant']]
