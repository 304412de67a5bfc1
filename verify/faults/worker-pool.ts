import { fileURLToPath } from 'node:url'
import { processPool } from './harness/process-pool.ts'
import type { TrialPool } from './harness/seat.ts'

/** What a spare worker loads before it is needed: under load, loading takes longer than a trial. */
export interface Warm {
  /** The folder of a library. */
  readonly library?: string
  /** Packages. */
  readonly drivers: readonly string[]
}

/** Makes a pool that keeps so many spare workers. */
export function workerPool(spares: number, warm: Warm): TrialPool {
  const file = fileURLToPath(new URL('run-worker.js', import.meta.url))
  return processPool(file, spares, { args: [JSON.stringify(warm)] })
}
