import { isOncewardError, OncewardError } from '../../core/errors.ts'
import type { OperationCatalog, OperationStore } from '../../core/store.ts'

/** A store that can be a shard: any that can list. */
export type ShardStore = OperationStore & OperationCatalog

/** One of the stores, and the name under which operations are routed to it. */
export interface Shard {
  readonly name: string
  readonly store: ShardStore
  /** Asks the store; what it throws tells the name of the shard. */
  call<T>(ask: (store: ShardStore) => Promise<T>): Promise<T>
}

/** Names a store. */
export function shard(name: string, store: ShardStore): Shard {
  return {
    name,
    store,
    async call(ask) {
      try {
        return await ask(store)
      } catch (error) {
        throw ofShard(name, error)
      }
    },
  }
}

/** The same error with the name of the shard in its message. Misuse stays what it is. */
function ofShard(name: string, error: unknown): unknown {
  if (isOncewardError(error)) {
    const { code, message, effect, retryAfterMs } = error
    return new OncewardError(code, `shard "${name}": ${message}`, {
      cause: error,
      effect,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    })
  }
  if (error instanceof TypeError) return error
  return new OncewardError('STORE_UNAVAILABLE', `shard "${name}" could not be asked; check that it is up`, {
    cause: error,
    effect: 'none',
    retryAfterMs: 1000,
  })
}
