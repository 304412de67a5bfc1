import { fileURLToPath } from 'node:url'
import { type PooledWorker, type ProcessPool, processPool } from './harness/process-pool.ts'
import type { Order, Report } from './orders.ts'

/** A worker process. */
export type WorkerProcess = PooledWorker<Order, Report>

/** Such workers, ready before they are needed. */
export type WorkerPool = ProcessPool<Order, Report>

/** What a spare worker loads before it is needed: under load, loading takes longer than a trial. */
export interface Warm {
  /** The folder of a library. */
  readonly library?: string
  /** Packages. */
  readonly drivers: readonly string[]
}

/** Makes a pool that keeps so many spare workers. */
export function workerPool(spares: number, warm: Warm): WorkerPool {
  const file = fileURLToPath(new URL('run-worker.js', import.meta.url))
  return processPool(file, spares, { args: [JSON.stringify(warm)] })
}
