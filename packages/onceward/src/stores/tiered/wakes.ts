import { isPromise } from '../../core/is-promise.ts'
import type { OperationId } from '../../core/operation.ts'
import type { OperationCache } from '../../core/operation-cache.ts'
import type { OperationStore, TransactionalStore } from '../../core/store.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'

/** Tells those who wait that an operation may have changed. */
export type Wake = (digest: string) => void

/** The ends of an operation that are passed on as they are. */
export type Ends = Pick<OperationStore, 'complete' | 'release' | 'hold' | 'resolve'>

/** Passes ends on, and wakes when one has happened. */
export function wakingEnds(store: OperationStore, wake: Wake): Ends {
  const woken = (digest: string, ended: boolean) => {
    if (ended) wake(digest)
  }
  return {
    async complete(claim, outcome, retentionMs) {
      const ended = await store.complete(claim, outcome, retentionMs)
      woken(claim.id.digest, ended)
      return ended
    },
    async release(claim, failure) {
      const ended = await store.release(claim, failure)
      woken(claim.id.digest, ended)
      return ended
    },
    async hold(claim, reason) {
      const ended = await store.hold(claim, reason)
      woken(claim.id.digest, ended)
      return ended
    },
    async resolve(id, resolution) {
      const reply = await store.resolve(id, resolution)
      woken(id.digest, reply.state === 'resolved')
      return reply
    },
  }
}

/**
 * Wakes for what a transaction of the store itself has ended, once it is committed. A savepoint may have undone some of
 * it: a wake too many does no harm.
 */
export function wakingTransactions<Tx extends object>(
  store: TransactionalStore<Tx>,
  wake: Wake,
): Pick<TransactionalStore<Tx>, 'transaction' | 'completeIn'> {
  const open = new WeakMap<Tx, Set<string>>()
  return {
    async transaction(body) {
      const ended = new Set<string>()
      const handles: Tx[] = []
      try {
        const value = await store.transaction((tx) => {
          // A body that is run again after a deadlock begins anew.
          ended.clear()
          open.set(tx, ended)
          handles.push(tx)
          return body(tx)
        })
        for (const digest of ended) wake(digest)
        return value
      } finally {
        for (const tx of handles) if (open.get(tx) === ended) open.delete(tx)
      }
    },
    completeIn(tx, claim, outcome, retentionMs) {
      const note = (applied: boolean) => {
        if (applied) open.get(tx)?.add(claim.id.digest)
        return applied
      }
      const applied = store.completeIn(tx, claim, outcome, retentionMs)
      return isPromise(applied) ? applied.then(note) : note(applied)
    },
  }
}

/** Waits for the store's own news and for that of the cache. */
export function watchBoth(
  store: OperationStore,
  cache: OperationCache,
  breaker: CircuitBreaker,
  closing: AbortSignal,
): NonNullable<OperationStore['watch']> {
  return async (id: OperationId, signal: AbortSignal) => {
    if (signal.aborted || closing.aborted) return
    const stop = new AbortController()
    const end = () => stop.abort()
    const stopped = new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve()))
    for (const one of [signal, closing]) one.addEventListener('abort', end, { once: true })
    // The store's own watch misses nothing; the cache is only sooner. One that cannot be watched wakes nobody.
    const sooner = breaker.isClosed()
      ? asked(() => cache.watch(id.digest, stop.signal)).catch(() => stopped)
      : stopped
    await Promise.race([store.watch?.(id, stop.signal) ?? stopped, sooner, stopped])
    end()
    for (const one of [signal, closing]) one.removeEventListener('abort', end)
  }
}

/** A call that may throw before it answers a promise. */
async function asked(call: () => Promise<void>): Promise<void> {
  await call()
}
