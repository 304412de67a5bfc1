import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import { systemClock } from '../../core/system.ts'
import type { FencingBackend, PlaceGrant } from '../lock-backend.ts'
import type { LockRecord } from '../lock-record.ts'
import * as transitions from '../lock-transitions.ts'

/** Options of {@link memoryLocks}. */
export interface MemoryLocksOptions {
  readonly clock?: Clock
}

/**
 * Locks in the memory of this process, for tests and for work that no other process does.
 *
 * Limit: each call makes locks of their own, which end with the process.
 *
 * @throws `CLOSED` from a call after `close`.
 */
export function memoryLocks(options: MemoryLocksOptions = {}): FencingBackend {
  const { clock = systemClock } = options
  const records = new Map<string, LockRecord>()
  const waiting = new Map<string, Set<(granted?: PlaceGrant) => void>>()
  let closed = false

  async function step<Reply>(
    key: string,
    decide: (found: LockRecord | undefined, now: number) => transitions.Step<Reply>,
  ): Promise<Reply> {
    if (closed) throw new OncewardError('CLOSED', 'these locks were closed; make new ones')
    const now = clock.now()
    const { reply, record, wake } = decide(records.get(key), now)
    if (record) {
      records.set(key, record)
      forgetIdle(now)
    }
    for (const { token, granted } of wake)
      for (const call of waiting.get(token) ?? []) queueMicrotask(() => call(granted))
    return reply
  }

  /** Looks at two of the records at each turn, so that those that are idle go sooner than new ones come. */
  function forgetIdle(now: number): void {
    for (let looked = 0; looked < 2; looked++) {
      const [oldest] = records
      if (!oldest) return
      const [key, record] = oldest
      records.delete(key)
      if (!transitions.isIdle(record, now)) records.set(key, record)
    }
  }

  return {
    where: 'memory',
    capabilities: {
      fencing: true,
      fifo: true,
      push: true,
      shared: true,
      marks: true,
      grantsPlaces: true,
      durable: false,
    },
    minTtlMs: 10,
    drift: 0,
    acquire: (request) => step(request.key, (found, now) => transitions.acquire(found, request, now)),
    extend: (requests) =>
      Promise.all(
        requests.map((request) => step(request.key, (found, now) => transitions.extend(found, request, now))),
      ),
    release: (held, next) => step(held.key, (found, now) => transitions.release(found, held, now, next)),
    transfer: (from, to) => step(from.key, (found, now) => transitions.transfer(found, from, to, now)),
    async inspect(key) {
      const found = records.get(key)
      const now = clock.now()
      return found && !transitions.isIdle(found, now) ? transitions.view(key, found, now) : undefined
    },
    forceRelease: (request) =>
      step(request.key, (found, now) => transitions.forceRelease(found, request, now)),
    mark: (held, text, keepMs) =>
      step(held.key, (found, now) => transitions.mark(found, held, text, keepMs, now)),
    watch({ token }, wake) {
      const listeners = waiting.get(token) ?? new Set()
      waiting.set(token, listeners.add(wake))
      return () => {
        listeners.delete(wake)
        if (listeners.size === 0) waiting.delete(token)
      }
    },
    async close() {
      closed = true
    },
  }
}
