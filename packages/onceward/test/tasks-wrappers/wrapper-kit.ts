/** What the tests of the wrappers share. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const WORKER = fileURLToPath(new URL('job-worker.mjs', import.meta.url))

/** What a killed worker is told, see `job-worker.mjs`. */
export interface WorkerOrder {
  readonly queue: 'bullmq' | 'graphile'
  readonly url: string
  readonly name: string
  /** The file that its effects are lines of. */
  readonly sink: string
  readonly leaseMs: number
}

/** Runs a worker until it has killed itself. */
export async function killedWorker(order: WorkerOrder): Promise<NodeJS.Signals | null> {
  const child = spawn(process.execPath, [WORKER, JSON.stringify(order)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const guard = setTimeout(() => child.kill('SIGTERM'), 15_000)
  try {
    return await new Promise((resolve) => {
      child.on('close', (_, signal) => resolve(signal))
    })
  } finally {
    clearTimeout(guard)
  }
}

/** Something that a test waits for. */
export function deferred<T = void>(): { readonly promise: Promise<T>; resolve(value: T): void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve: (value) => resolve(value) }
}
