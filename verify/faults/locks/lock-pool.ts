import { fileURLToPath } from 'node:url'
import { type PooledWorker, type ProcessPool, processPool } from '../process-pool.ts'
import type { LockOrder, LockReport } from './run-lock-worker.ts'

/** A worker process that uses locks. */
export type LockWorker = PooledWorker<LockOrder, LockReport>

/** Such workers, started before they are needed. */
export type LockPool = ProcessPool<LockOrder, LockReport>

/** Makes a pool that keeps so many spare workers; `quiet` drops what they say as they die. */
export function lockPool(spares: number, options: { readonly quiet?: boolean } = {}): LockPool {
  return processPool(fileURLToPath(new URL('run-lock-worker.js', import.meta.url)), spares, options)
}
